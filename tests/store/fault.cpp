// Fault injection for store_tool: stands in for the system calls that change the disk, and at the Nth of them
// does as STORE_FAULT says: "kill:N" ends the process before the call, "once:ERRNO:N" fails that one,
// "ever:ERRNO:N" fails it and all later ones. STORE_FAULT_CALLS names a file that receives the number of
// calls made.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

enum class Action { none, kill, once, ever };

struct Plan {
  Action action = Action::none;
  int error = 0;
  long at = 0;
  long calls = 0;

  Plan() {
    const char* text = std::getenv("STORE_FAULT");
    if (text == nullptr) return;
    if (std::sscanf(text, "kill:%ld", &at) == 1) action = Action::kill;
    if (std::sscanf(text, "once:%d:%ld", &error, &at) == 2) action = Action::once;
    if (std::sscanf(text, "ever:%d:%ld", &error, &at) == 2) action = Action::ever;
  }
  ~Plan() {
    const char* path = std::getenv("STORE_FAULT_CALLS");
    if (path == nullptr) return;
    if (std::FILE* file = std::fopen(path, "w")) {
      std::fprintf(file, "%ld\n", calls);
      std::fclose(file);
    }
  }

  // True: the call shall fail, and errno is set.
  bool strike() {
    ++calls;
    if (action == Action::none || calls < at) return false;
    if (action == Action::kill) ::raise(SIGKILL);
    if (action == Action::once && calls > at) return false;
    errno = error;
    return true;
  }
};

Plan& plan() {
  static Plan the_plan;
  return the_plan;
}

template <class Function>
Function real(const char* name) {
  void* symbol = ::dlsym(RTLD_NEXT, name);
  Function function;
  std::memcpy(&function, &symbol, sizeof function);
  return function;
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return plan().strike() ? -1 : next(fd, data, bytes, offset);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
  if (fd <= 2) return next(fd, data, bytes);
  return plan().strike() ? -1 : next(fd, data, bytes);
}

int fsync(int fd) {
  static const auto next = real<int (*)(int)>("fsync");
  return plan().strike() ? -1 : next(fd);
}

int rename(const char* from, const char* to) {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return plan().strike() ? -1 : next(from, to);
}

int unlink(const char* path) {
  static const auto next = real<int (*)(const char*)>("unlink");
  return plan().strike() ? -1 : next(path);
}

int ftruncate(int fd, off_t bytes) {
  static const auto next = real<int (*)(int, off_t)>("ftruncate");
  return plan().strike() ? -1 : next(fd, bytes);
}

int symlink(const char* target, const char* path) {
  static const auto next = real<int (*)(const char*, const char*)>("symlink");
  return plan().strike() ? -1 : next(target, path);
}

}  // extern "C"
