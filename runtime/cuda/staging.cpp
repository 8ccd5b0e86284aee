#include "runtime/cuda/staging.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <future>
#include <vector>

namespace medlar::runtime::cuda {
namespace {

constexpr std::size_t kSlotBytes = 32 << 20;
constexpr std::size_t kSmall = 64 << 10;  // the driver itself copies so much before it returns
constexpr std::size_t kThreadBytes =
    4 << 20;  // of a mapped file one thread reads 3 to 10 GB/s, the bus takes 50

// A thread that sleeps wakes up late, by 0.15 to 0.3 ms on the host of an H200, which costs a token much and
// a prompt little; one that does not sleep keeps a core busy.
constexpr std::chrono::milliseconds kSpin{20};

void copy_by_threads(std::byte* to, std::span<const std::byte> from) {
  std::vector<std::future<void>> helpers;  // each joins at its end
  for (std::size_t at = kThreadBytes; at < from.size(); at += kThreadBytes)
    helpers.push_back(std::async(std::launch::async, [=] {
      std::memcpy(to + at, from.data() + at, std::min(kThreadBytes, from.size() - at));
    }));
  std::memcpy(to, from.data(), std::min(kThreadBytes, from.size()));
}

}  // namespace

Staging::~Staging() {
  for (const Slot& slot : slots_) {
    if (slot.free) driver_.destroy_event(slot.free);
    if (slot.bytes) driver_.release_host(slot.bytes);
  }
  if (done_) driver_.destroy_event(done_);
}

void Staging::open() {
  for (Slot& slot : slots_) {
    if (slot.bytes) continue;
    void* bytes = nullptr;
    driver_.check(driver_.allocate_host(&bytes, kSlotBytes, 0), "pin memory");
    slot.bytes = static_cast<std::byte*>(bytes);
    driver_.check(driver_.create_event(&slot.free, kUntimed), "create an event");
    driver_.check(driver_.record_event(slot.free, stream_), "record an event");
  }
}

void Staging::copy_in(DevicePointer to, std::span<const std::byte> from) {
  if (from.size() <= kSmall)
    return driver_.check(driver_.copy_in(to, from.data(), from.size(), stream_), "copy to the GPU");
  open();
  for (std::size_t at = 0; at < from.size(); at += kSlotBytes) {
    const Slot& slot = slots_[next_++ % slots_.size()];
    const std::span<const std::byte> piece = from.subspan(at, std::min(kSlotBytes, from.size() - at));
    driver_.check(driver_.wait_event(slot.free), "wait for a copy");
    copy_by_threads(slot.bytes, piece);
    driver_.check(driver_.copy_in(to + at, slot.bytes, piece.size(), stream_), "copy to the GPU");
    driver_.check(driver_.record_event(slot.free, stream_), "record an event");
  }
}

void Staging::copy_out(std::span<std::byte> to, DevicePointer from) {
  if (to.empty()) return wait();
  open();
  const Slot& slot = slots_[next_ % slots_.size()];
  for (std::size_t at = 0; at < to.size(); at += kSlotBytes) {
    const std::span<std::byte> piece = to.subspan(at, std::min(kSlotBytes, to.size() - at));
    driver_.check(driver_.wait_event(slot.free), "wait for a copy");
    driver_.check(driver_.copy_out(slot.bytes, from + at, piece.size(), stream_), "copy from the GPU");
    wait();
    std::memcpy(piece.data(), slot.bytes, piece.size());
  }
}

void Staging::wait() {
  if (!done_) driver_.check(driver_.create_event(&done_, kSleep | kUntimed), "create an event");
  driver_.check(driver_.record_event(done_, stream_), "record an event");
  const auto until = std::chrono::steady_clock::now() + kSpin;
  Result state = kNotReady;
  while (state == kNotReady && std::chrono::steady_clock::now() < until) state = driver_.query_event(done_);
  if (state == kNotReady) state = driver_.wait_event(done_);
  driver_.check(state, "run kernels");
}

}  // namespace medlar::runtime::cuda
