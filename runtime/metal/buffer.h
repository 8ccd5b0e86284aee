// Memory that the processor and the GPU share: the GPU's own, or a view of mapped bytes.
#pragma once

#include <cstddef>
#include <span>

#include "runtime/gpu/device.h"
#include "runtime/metal/queue.h"
#include "runtime/metal/residency.h"

namespace medlar::runtime::metal {

class Buffer final : public gpu::Buffer {
 public:
  // What a buffer is made with; all must outlive it.
  struct Place {
    const System& system;
    Residency& residency;
    Queue& queue;
  };

  // Zeroed. Throws Error(out_of_memory).
  Buffer(const Place& place, std::size_t bytes);
  // Without a copy: the view covers the whole pages around the bytes, so they must be part of a mapping.
  Buffer(const Place& place, std::span<const std::byte> bytes);
  ~Buffer() override;

  std::size_t size() const override { return size_; }
  std::byte* data() const { return data_; }
  Id handle() const { return handle_.get(); }
  std::uint64_t begin() const { return begin_; }  // of the bytes in the handle's memory

  // The contents are not needed any more, so the system may take the pages. wake() gets it ready for use;
  // then it reads as anything.
  void sleep();
  void wake() {
    if (asleep_) wake_up();
  }

 private:
  void wake_up();

  const Place place_;
  const std::size_t size_;
  Owned handle_;
  std::byte* data_ = nullptr;
  std::uint64_t begin_ = 0;
  bool asleep_ = false;
};

// Bytes of which one view can be made: what the GPU's buffers may have, less the pages around them.
std::size_t largest_view(const System& system);

}  // namespace medlar::runtime::metal
