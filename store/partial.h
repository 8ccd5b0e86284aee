// A file being downloaded: it can be left at any moment, and continued by another process.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "base/posix.h"
#include "store/digest.h"

namespace medlar::store {

// What must be the same for a download to be continued.
struct PartialState {
  std::string url;
  std::string etag;          // strong, or empty
  std::uint64_t total = 0;   // bytes; 0: unknown
  std::uint64_t synced = 0;  // bytes known to be on the disk

  friend bool operator==(const PartialState&, const PartialState&) = default;
};

// KEY (the bytes) and KEY.state (docs/store.md) in the partial folder. Only bytes that were flushed to the
// disk count when it is opened again, so a crash of the machine costs at most one checkpoint interval and
// never leaves a hole. The caller holds the key's lock.
class Partial {
 public:
  struct Options {
    // What a crash may cost at most: whichever is less.
    std::uint64_t checkpoint_bytes = 64 << 20;
    std::chrono::milliseconds checkpoint_interval{2000};
  };

  // Opens what is there, or begins anew; call restore() before anything else.
  // Throws Error: io, no_space, limit.
  Partial(std::filesystem::path data, const Options& options);
  ~Partial();  // saves what was written, as far as the disk takes it
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  // Hashes the bytes of an earlier attempt, calling `progress` with the bytes done.
  void restore(const std::function<void(std::uint64_t)>& progress);

  std::uint64_t size() const { return size_; }
  const PartialState& state() const { return state_; }

  // Forgets all bytes; from now on this is a download of `state`.
  void restart(PartialState state);
  // Throws Error(no_space) when the disk is full; what was written stays and can be continued.
  void append(std::span<const std::byte> bytes);
  // Flushes everything and tells the digest of the whole.
  Digest finish();
  // Deletes both files. Nothing else may be called afterwards.
  void discard();
  // After the data file was renamed: deletes the state. Nothing else may be called afterwards.
  void release();

  const std::filesystem::path& path() const { return data_; }

 private:
  void save_state();
  void checkpoint();

  std::filesystem::path data_, state_path_;
  Options options_;
  FileDescriptor fd_, state_fd_;
  PartialState state_;
  Sha256 hash_;
  std::uint64_t size_ = 0;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
};

}  // namespace medlar::store
