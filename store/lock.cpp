#include "store/lock.h"

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace medlar::store {
namespace {

using namespace std::chrono_literals;

// False: another holder is in the way.
bool try_flock(int fd, int operation, const std::filesystem::path& path) {
  for (;;) {
    if (::flock(fd, operation | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) fail_errno(path, "lock", errno);
  }
}

// The holder may have removed or replaced the file between our open and our lock.
bool still_named(int fd, const std::filesystem::path& path) {
  struct stat held;
  struct stat named;
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

}  // namespace

std::optional<FileLock> FileLock::try_existing(const std::filesystem::path& path, Mode mode) {
  for (;;) {
    FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) fail_errno(path, "open", errno);
    if (!try_flock(fd.get(), mode == Mode::shared ? LOCK_SH : LOCK_EX, path)) return std::nullopt;
    if (still_named(fd.get(), path)) return FileLock(std::move(fd));
  }
}

FileLock FileLock::wait_exclusive(const std::filesystem::path& path, const std::function<void()>& waiting) {
  bool waited = false;
  for (;;) {
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!fd.valid()) fail_errno(path, "create", errno);
    while (!try_flock(fd.get(), LOCK_EX, path)) {
      waited = true;
      waiting();
      std::this_thread::sleep_for(100ms);
    }
    if (!still_named(fd.get(), path)) continue;
    FileLock lock(std::move(fd));
    lock.waited_ = waited;
    return lock;
  }
}

FileLock FileLock::wait_token(const std::filesystem::path& path, const std::function<void()>& waiting) {
  FileLock lock = wait_exclusive(path, waiting);
  lock.token_ = path;
  return lock;
}

std::optional<FileLock> FileLock::try_token(const std::filesystem::path& path) {
  struct Busy {};
  try {
    return wait_token(path, [] { throw Busy(); });
  } catch (const Busy&) {
    return std::nullopt;
  }
}

FileLock::~FileLock() {
  // While still locked, so that nobody can be about to use this very file unknowingly: see still_named().
  if (fd_.valid() && !token_.empty()) ::unlink(token_.c_str());
}

FileLock::FileLock(FileLock&& other) noexcept
    : fd_(std::move(other.fd_)), token_(std::exchange(other.token_, {})), waited_(other.waited_) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(token_, other.token_);
  std::swap(waited_, other.waited_);
  return *this;
}

}  // namespace medlar::store
