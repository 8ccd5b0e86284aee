// A read-only mapping of a file that outlives deletion, notices overwriting and survives truncation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/posix.h"

namespace medlar {

enum class Advice { willneed, sequential, random, dontneed };

// Which bytes a path or descriptor stood for at one moment. Equal identities mean unchanged contents, as far
// as the file system's clock can tell.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;        // bytes
  std::int64_t modified_ns = 0;  // since the epoch

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Move-only owner of a shared read-only mapping: its pages stay clean, so the system may drop and reread
// them. The bytes stay where they are when the owner moves.
//
// The mapped inode is kept: after an unlink or a rename over the path the old contents stay readable. A page
// that the file can no longer supply (it was truncated, or the disk failed) reads as zeros instead of raising
// SIGBUS, and marks the mapping damaged; whoever computed from these bytes calls check() before using the
// result.
class MappedFile {
 public:
  MappedFile() = default;  // maps nothing

  // Maps the whole of a regular file. Never blocks. Throws Error: not_found, usage for a directory, pipe,
  // socket or device, limit when too many files are open or mapped, io otherwise.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }
  const FileIdentity& identity() const { return identity_; }

  // Some bytes read so far were zeros in place of lost ones. One atomic load.
  bool damaged() const noexcept;

  // Throws Error(io) when damaged.
  void check() const;

  // The mapped inode's size or modification time differs from when it was mapped. One system call.
  bool changed() const;

  // Tells the system how `range`, a part of bytes(), will be used. Whole pages around it are meant; dontneed
  // releases them from this process and leaves the page cache alone. A hint: it cannot fail.
  void advise(std::span<const std::byte> range, Advice advice) const noexcept;

 private:
  std::filesystem::path path_;
  FileDescriptor fd_;
  FileIdentity identity_;
  std::span<const std::byte> bytes_;
  int slot_ = -1;  // in the registry that the SIGBUS handler reads
};

}  // namespace medlar
