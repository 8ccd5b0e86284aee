// What requests and answers on their way take, of all connections together.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/error.h"
#include "base/ledger.h"

namespace medlar::server {

// Any thread.
class Buffers {
 public:
  explicit Buffers(Ledger& ledger) : charge_(ledger.charge(MemoryUse::buffers, 0)) {}

  std::size_t bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  // False where the ledger has no room; then nothing changed.
  bool change(std::size_t before, std::size_t after) {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = bytes_ - before + after;
    try {
      charge_.resize(bytes);
    } catch (const Error&) {
      return false;
    }
    bytes_ = bytes;
    charge_.set_used(bytes);
    return true;
  }

 private:
  mutable std::mutex mutex_;
  Ledger::Charge charge_;
  std::size_t bytes_ = 0;
};

}  // namespace medlar::server
