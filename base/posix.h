// What every POSIX caller needs: a descriptor that closes itself, and errno as an Error.
#pragma once

#include <filesystem>
#include <string_view>

namespace medlar {

// Move-only owner of a file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Throws an Error "PATH: cannot ACTION: reason". The kind is no_space for a full disk or an exhausted quota,
// not_found for a path that does not exist, limit for a lack of descriptors, and io for everything else.
[[noreturn]] void fail_errno(const std::filesystem::path& path, std::string_view action, int error);

}  // namespace medlar
