#include "tune/memory_watch.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace medlar::tune {
namespace {

constexpr std::chrono::milliseconds kInterval{10};
constexpr std::size_t kMostSamples = 2048;

std::uint64_t less(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

// fn(of the extent, of the sample) for every figure of both.
template <class Fn>
void for_each_figure(MemoryWatch::Extent& extent, const MemorySample& sample, const Fn& fn) {
  for (std::size_t i = 0; i < kMemoryParts; ++i) fn(extent.parts[i], static_cast<double>(sample.bytes[i]));
  fn(extent.total, static_cast<double>(sample.total()));
  fn(extent.anonymous, static_cast<double>(sample.anonymous));
  fn(extent.file, static_cast<double>(sample.file));
}

}  // namespace

std::string_view to_string(MemoryPart part) {
  constexpr std::array<std::string_view, kMemoryParts> kNames{"weights", "kv", "activations", "scratch",
                                                              "overhead"};
  return kNames[static_cast<std::size_t>(part)];
}

std::uint64_t MemorySample::total() const {
  return std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
}

MemorySample memory_sample(const Ledger::Snapshot& ledger, const ProcessMemory& before,
                           const ProcessMemory& now) {
  const auto used = [&](MemoryUse use) { return ledger[use].used; };
  // Pages of the program itself come in later, too: no more than the model's own are weights.
  const std::uint64_t mapped = ledger[MemoryUse::weights].held;
  MemorySample s{.anonymous = now.anonymous, .file = now.file};
  s.bytes = {now.file > 0 ? std::min(less(now.file, before.file), mapped) : used(MemoryUse::weights),
             used(MemoryUse::kv) + used(MemoryUse::cache), used(MemoryUse::activations),
             used(MemoryUse::scratch), 0};
  s.bytes[static_cast<std::size_t>(MemoryPart::rest)] = less(now.resident, s.total());
  return s;
}

MemoryWatch::MemoryWatch(std::shared_ptr<const Ledger> ledger, const ProcessMemory& before)
    : ledger_(std::move(ledger)), before_(before) {
  samples_.reserve(kMostSamples);
  look();
  thread_ = std::thread([this] { watch(); });
}

void MemoryWatch::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  wake_.notify_one();
  thread_.join();
  every_ = 1;  // the last is kept whatever the rhythm
  look();
}

void MemoryWatch::watch() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, kInterval, [this] { return done_; })) look();
}

void MemoryWatch::look() {
  MemorySample now = memory_sample(ledger_->snapshot(), before_, process_memory());
  now.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double passed = now.seconds - last_.seconds;
  for_each_figure(peak_, now, [](double& most, double bytes) { most = std::max(most, bytes); });
  for_each_figure(sum_, now, [&](double& sum, double bytes) { sum += bytes * passed; });
  last_ = now;
  if (looks_++ % every_ != 0) return;
  if (samples_.size() == kMostSamples) {
    for (std::size_t i = 0; i < kMostSamples / 2; ++i) samples_[i] = samples_[2 * i];
    samples_.resize(kMostSamples / 2);
    every_ *= 2;
  }
  samples_.push_back(now);
}

MemoryWatch::Extent MemoryWatch::mean() const {
  Extent mean = sum_;
  if (last_.seconds <= 0) return mean;
  for_each_figure(mean, last_, [&](double& sum, double) { sum /= last_.seconds; });
  return mean;
}

}  // namespace medlar::tune
