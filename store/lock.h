// Advisory locks on files (flock): they end with the process that holds them, however it ends.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "base/posix.h"

namespace medlar::store {

// Move-only. Holds until destroyed.
class FileLock {
 public:
  enum class Mode { shared, exclusive };

  // Locks a file that exists. Nothing when another holder is in the way. Throws Error: not_found, io.
  static std::optional<FileLock> try_existing(const std::filesystem::path& path, Mode mode);

  // Locks `path` for this process alone, making the file if need be. While another process holds it, calls
  // `waiting` ten times a second; that may throw to give up. Throws Error(io).
  static FileLock wait_exclusive(const std::filesystem::path& path, const std::function<void()>& waiting);

  // As wait_exclusive(), but the file is a mere token, which is removed at the end.
  static FileLock wait_token(const std::filesystem::path& path, const std::function<void()>& waiting);
  // As wait_token(), but nothing when somebody else has it.
  static std::optional<FileLock> try_token(const std::filesystem::path& path);

  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

  // Somebody else had it when this was asked for.
  bool waited() const { return waited_; }

 private:
  explicit FileLock(FileDescriptor fd) : fd_(std::move(fd)) {}

  FileDescriptor fd_;
  std::filesystem::path token_;  // to be removed; empty: a file that stays
  bool waited_ = false;
};

}  // namespace medlar::store
