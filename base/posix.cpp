// Descriptors, and errno as an Error.
#include "base/posix.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "base/error.h"
#include "base/log.h"

namespace medlar {

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

void fail_errno(const std::filesystem::path& path, std::string_view action, int error) {
  ErrorKind kind = ErrorKind::io;
  std::string hint;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      kind = ErrorKind::no_space;
      hint = "free some disk space, or raise the quota or file size limit, and try again";
      break;
    case ENOENT:
    case ENOTDIR:
      kind = ErrorKind::not_found;
      hint = "check the path";
      break;
    case EMFILE:
    case ENFILE:
      kind = ErrorKind::limit;
      hint = "raise the limit of open files (ulimit -n)";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      hint = "check the permissions of the file and its folder";
      break;
    default:
      break;
  }
  const std::string reason = std::generic_category().message(error);
  throw Error(kind, fmt::format("{}: cannot {}: {}", printable(path.native()), action, reason), hint);
}

}  // namespace medlar
