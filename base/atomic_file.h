// A file that appears under its name complete and on disk, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/posix.h"

namespace medlar {

// Move-only. Writes go to a temporary file in the target's folder; commit() forces them to the disk and
// renames. Without a commit the temporary is removed and an older file of that name stays as it was. A
// process that is killed leaves a `.medlar-*.tmp` behind, which nothing reads.
class AtomicFile {
 public:
  // Throws Error: usage when the target exists and is not a regular file; not_found, io, no_space.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;

  // Appends. Throws Error(no_space) on a full disk, io otherwise.
  void write(std::span<const std::byte> bytes);

  // Bytes written so far.
  std::uint64_t size() const { return size_; }
  const std::filesystem::path& target() const { return target_; }

  // Makes the contents durable and visible under the target's name; nothing may be written afterwards.
  // Throws as write() does; the target is then untouched, or new if only flushing its folder failed.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty once committed or moved from
  FileDescriptor fd_;
  std::uint64_t size_ = 0;
};

}  // namespace medlar
