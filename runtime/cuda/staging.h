// Copies between the host and the device by way of pinned memory, which alone goes at the bus's speed.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "runtime/cuda/driver.h"

namespace medlar::runtime::cuda {

class Staging {
 public:
  // Both must outlive it. Pinned memory is taken at the first large copy.
  Staging(const Driver& driver, Handle stream) : driver_(driver), stream_(stream) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Ordered with the stream's work; `from` may change afterwards.
  void copy_in(DevicePointer to, std::span<const std::byte> from);
  // Waits for the stream, even if there is nothing to copy.
  void copy_out(std::span<std::byte> to, DevicePointer from);
  void wait();  // for the stream

 private:
  struct Slot {
    std::byte* bytes = nullptr;
    Handle free = nullptr;  // an event: the device has read it
  };
  void open();

  const Driver& driver_;
  const Handle stream_;
  std::array<Slot, 2> slots_;
  std::size_t next_ = 0;
  Handle done_ = nullptr;  // an event: the stream has come so far
};

}  // namespace medlar::runtime::cuda
