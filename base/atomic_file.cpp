// Temporary file, flush, rename, flush of the folder.
#include "base/atomic_file.h"

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"

namespace medlar {
namespace {

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

// Forces written data to the medium. On macOS plain fsync stops at the drive's cache, and F_FULLFSYNC is not
// known to every file system.
int flush_to_disk(int fd) {
#ifdef F_FULLFSYNC
  if (::fcntl(fd, F_FULLFSYNC) == 0) return 0;
#endif
  return ::fsync(fd);
}

// A folder remembers a rename only once it is flushed itself. Some file systems refuse to, and need not.
void flush_folder(const std::filesystem::path& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!fd.valid()) return;
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
    fail_errno(folder, "flush", errno);
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)) {
  struct stat status;
  if (::stat(target_.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    throw Error(ErrorKind::usage,
                fmt::format("{}: exists and is not a regular file", printable(target_.native())),
                "choose another name");

  std::random_device random;
  for (int attempt = 0; attempt < 16; ++attempt) {
    const std::uint64_t tag = (std::uint64_t{random()} << 32) | random();
    temporary_ = folder_of(target_) / fmt::format(".medlar-{:016x}.tmp", tag);
    fd_ = FileDescriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (fd_.valid()) return;
    if (errno != EEXIST) break;
  }
  fail_errno(target_, "create", errno);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)),
      size_(other.size_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(target_, other.target_);
  std::swap(temporary_, other.temporary_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  return *this;
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  MEDLAR_ASSERT(fd_.valid());
  constexpr std::size_t kMostAtOnce = std::size_t{1} << 30;  // macOS refuses 2 GiB and more
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), std::min(bytes.size(), kMostAtOnce));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(target_, "write", errno);
    size_ += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::commit() {
  MEDLAR_ASSERT(fd_.valid());
  if (flush_to_disk(fd_.get()) != 0) fail_errno(target_, "flush", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail_errno(target_, "replace", errno);
  temporary_.clear();
  fd_ = FileDescriptor();
  flush_folder(folder_of(target_));
}

}  // namespace medlar
