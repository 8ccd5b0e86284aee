// A queue of one list of dispatches at a time: encoded, committed, waited for.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <span>
#include <vector>

#include "runtime/metal/system.h"

namespace medlar::runtime::metal {

// A dispatch with everything found.
struct Call {
  struct Argument {
    Id buffer = nullptr;
    std::uint64_t offset = 0;  // bytes
  };

  Id pipeline = nullptr;
  std::vector<std::byte> params;    // argument 0
  std::vector<Argument> arguments;  // 1, 2, ...
  Size grid, group;                 // threadgroups; threads of one
  bool barrier = true;
};

// Any thread.
class Queue {
 public:
  explicit Queue(const System& system);
  ~Queue() { finish(); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  Id handle() const { return handle_.get(); }

  // Starts when the list before has finished. What the calls name must live until then.
  void commit(std::span<const Call> calls);
  // Throws Error(device), or Error(out_of_memory), where the list that was committed last has failed.
  void wait();
  // Waits, whatever came of it.
  void finish() noexcept;
  // Of the list that was waited for last, on the GPU.
  std::chrono::nanoseconds time() const { return time_; }

 private:
  void encode(Id encoder, std::span<const Call> calls) const;

  void wait_locked();

  const System& system_;
  const Owned handle_;
  std::mutex mutex_;
  Owned running_;  // a command buffer
  std::chrono::nanoseconds time_{0};
};

}  // namespace medlar::runtime::metal
