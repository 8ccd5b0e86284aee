#include "kernels/gpu/emulator/threadgroup_memory.h"

#include <algorithm>
#include <cstring>

#include "kernels/gpu/emulator/phases.h"
#include "kernels/gpu/emulator/sanitizers.h"

namespace medlar::emulator {
namespace {

constexpr std::size_t kMaxArrays = 32;
constexpr std::size_t kFenceBytes = 64;
constexpr std::byte kFence{0xA5};
constexpr int kNan = 0xFF;  // repeated, it is NaN in every float format

}  // namespace

ThreadgroupMemory::ThreadgroupMemory(std::size_t limit)
    : limit_(limit), memory_(limit + kRingBytes + kMaxArrays * 2 * kFenceBytes) {
  end_ = memory_.size();
  reset();
}

void ThreadgroupMemory::reset() {
#ifdef MEDLAR_EMULATOR_ASAN
  __asan_unpoison_memory_region(memory_.data(), memory_.size());
#endif
#ifdef MEDLAR_EMULATOR_TSAN
  memory_ = PageMemory(memory_.size());
  end_ = memory_.size();
#endif
  std::memset(memory_.data(), kNan, end_);
  arrays_.clear();
  used_ = end_ = 0;
  large_bytes_ = 0;
}

// A page starts at a multiple of kLargeAlignment.
void* ThreadgroupMemory::large(std::size_t bytes) {
  if (large_bytes_ == bytes) return large_.data();
#ifdef MEDLAR_EMULATOR_TSAN
  large_ = {};
#endif
  if (large_.size() == 0) large_ = PageMemory(kLargeBytes + kFenceBytes);
  large_bytes_ = bytes;
#ifdef MEDLAR_EMULATOR_ASAN
  __asan_unpoison_memory_region(large_.data(), large_.size());
  __asan_poison_memory_region(large_.data() + bytes, large_.size() - bytes);
#else
  std::fill_n(large_.data() + bytes, kFenceBytes, kFence);
#endif
  std::memset(large_.data(), kNan, bytes);
  return large_.data();
}

void* ThreadgroupMemory::array(int id, std::size_t bytes) {
  for (const Array& a : arrays_)
    if (a.id == id) return memory_.data() + a.offset;
  if (id == kRing ? bytes > kRingBytes : used_ + bytes > limit_) return nullptr;
  if (arrays_.size() == kMaxArrays) return nullptr;
  arrays_.push_back({id, end_, bytes});
  if (id != kRing) used_ += bytes;
  std::byte* begin = memory_.data() + end_;
  end_ = (end_ + bytes + kFenceBytes + 63) / 64 * 64;
  const std::size_t fence = static_cast<std::size_t>(memory_.data() + end_ - begin) - bytes;
#ifdef MEDLAR_EMULATOR_ASAN
  __asan_poison_memory_region(begin + bytes, fence);
#else
  std::fill_n(begin + bytes, fence, kFence);
#endif
  return begin;
}

int ThreadgroupMemory::find_overrun() const {
#ifndef MEDLAR_EMULATOR_ASAN
  for (std::size_t i = 0; i < arrays_.size(); ++i) {
    const std::byte* fence = memory_.data() + arrays_[i].offset + arrays_[i].bytes;
    if (std::any_of(fence, fence + kFenceBytes, [](std::byte b) { return b != kFence; }))
      return static_cast<int>(i);
  }
  const std::byte* fence = large_.data() + large_bytes_;
  if (large_bytes_ && std::any_of(fence, fence + kFenceBytes, [](std::byte b) { return b != kFence; }))
    return static_cast<int>(arrays_.size());
#endif
  return -1;
}

}  // namespace medlar::emulator
