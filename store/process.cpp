#include "store/process.h"

#include <cerrno>
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"

extern char** environ;

namespace medlar::store {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxOutput = 16 << 10;

struct Pipe {
  FileDescriptor read, write;
};

Pipe make_pipe() {
  int fds[2];
  if (::pipe(fds) != 0) fail_errno("pipe", "create", errno);
  Pipe pipe{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
  for (const int fd : fds) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return pipe;
}

std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : options.environment) {
      replaced = replaced || (text.starts_with(name) && text.substr(name.size()).starts_with('='));
    }
    if (!replaced) out.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) out.push_back(name + "=" + value);
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& s : strings) out.push_back(s.data());
  out.push_back(nullptr);
  return out;
}

// A child in its own process group, so that ending it reaches the programs it started.
class Child {
 public:
  Child(const ProcessOptions& options, int output) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    std::vector<std::string> arguments = options.arguments;
    std::vector<std::string> variables = merged_environment(options);
    const int error = ::posix_spawnp(&pid_, arguments[0].c_str(), &actions, &attributes,
                                     pointers(arguments).data(), pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error != 0) fail_errno(options.arguments[0], "run", error);
  }
  ~Child() {
    if (pid_ > 0) end();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // True once it has ended; then status() holds.
  bool ended() {
    int status = 0;
    const pid_t r = ::waitpid(pid_, &status, WNOHANG);
    if (r == 0 || (r < 0 && errno == EINTR)) return false;
    pid_ = -1;
    status_ = r < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  }
  int status() const { return status_; }

 private:
  void end() {
    ::kill(-pid_, SIGTERM);
    for (int i = 0; i < 20; ++i) {
      if (ended()) return;
      std::this_thread::sleep_for(50ms);
    }
    ::kill(-pid_, SIGKILL);
    while (!ended()) std::this_thread::sleep_for(10ms);
  }

  pid_t pid_ = -1;
  int status_ = 0;
};

// Appends what can be read now, keeping the end.
void drain(int fd, std::string& output) {
  char block[4096];
  for (;;) {
    const ssize_t n = ::read(fd, block, sizeof block);
    if (n <= 0) return;
    output.append(block, static_cast<std::size_t>(n));
    if (output.size() > 2 * kMaxOutput) output.erase(0, output.size() - kMaxOutput);
  }
}

}  // namespace

ProcessResult run_process(const ProcessOptions& options) {
  Pipe pipe = make_pipe();
  Child child(options, pipe.write.get());
  pipe.write = {};
  ProcessResult result;
  while (!child.ended()) {
    if (options.tick) options.tick();
    pollfd wait{pipe.read.get(), POLLIN, 0};
    ::poll(&wait, 1, 100);
    if ((wait.revents & POLLIN) == 0 && wait.revents != 0)
      std::this_thread::sleep_for(20ms);  // it closed its output
    drain(pipe.read.get(), result.output);
  }
  drain(pipe.read.get(), result.output);
  if (result.output.size() > kMaxOutput) result.output.erase(0, result.output.size() - kMaxOutput);
  result.status = child.status();
  return result;
}

}  // namespace medlar::store
