// Makes a process on Linux look like one on macOS to what opens Metal: the system's libraries are this one,
// and pages have 16 KiB. It works when it is loaded before the C library: by LD_PRELOAD, or linked.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr std::size_t kPage = 16384;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

void* map(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) {
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// Memory around the mapping is taken first, so that what is left of its last page reads as zeros.
void* map_whole_pages(std::size_t bytes, int protection, int flags, int file, off_t offset) {
  const std::size_t length = whole_pages(bytes);
  void* const room =
      map(nullptr, length + kPage, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return MAP_FAILED;
  const auto at = reinterpret_cast<std::uintptr_t>(room);
  const std::uintptr_t begin = whole_pages(at);
  if (begin > at) ::syscall(SYS_munmap, at, begin - at);
  if (begin < at + kPage) ::syscall(SYS_munmap, begin + length, at + kPage - begin);
  void* const result =
      map(reinterpret_cast<void*>(begin), bytes, protection, flags | MAP_FIXED, file, offset);
  if (result == MAP_FAILED) ::syscall(SYS_munmap, begin, length);
  return result;
}

}  // namespace

extern "C" {

void* mmap(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  if (at || bytes == 0) return map(at, bytes, protection, flags, file, offset);
  return map_whole_pages(bytes, protection, flags, file, offset);
}
void* mmap64(void* at, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  return mmap(at, bytes, protection, flags, file, offset);
}
int munmap(void* at, std::size_t bytes) noexcept {
  return static_cast<int>(::syscall(SYS_munmap, at, whole_pages(bytes)));
}
long sysconf(int name) noexcept {
  static auto* const real = next<long(int)>("sysconf");
  return name == _SC_PAGESIZE ? static_cast<long>(kPage) : real(name);
}
int getpagesize() noexcept { return kPage; }

void* dlopen(const char* name, int flags) noexcept {
  static auto* const real = next<void*(const char*, int)>("dlopen");
  constexpr const char* kSystem[] = {"/usr/lib/libobjc.A.dylib",
                                     "/System/Library/Frameworks/Foundation.framework/Foundation",
                                     "/System/Library/Frameworks/CoreGraphics.framework/CoreGraphics",
                                     "/System/Library/Frameworks/Metal.framework/Metal"};
  Dl_info here{};
  for (const char* system : kSystem)
    if (name && std::strcmp(name, system) == 0 && ::dladdr(reinterpret_cast<void*>(&whole_pages), &here) != 0)
      return real(here.dli_fname, flags);
  return real(name, flags);
}

}  // extern "C"
