#include "runtime/gpu/step_results.h"

#include <algorithm>

#include "kernels/gpu/params.h"

namespace medlar::runtime::gpu {

using medlar::gpu::kBest;
static_assert(sizeof(TokenLogit) == sizeof(medlar::gpu::TokenLogit));

void StepResults::begin(std::int32_t rows, std::size_t offset) {
  offset_ = offset;
  there_.assign(static_cast<std::size_t>(rows), false);
  best_.clear();
}

// Memory stays, and is only taken where somebody asks.
std::span<float> StepResults::rows() {
  const std::size_t needed = there_.size() * width_;
  if (logits_.size() < needed) logits_.resize(needed);
  return std::span(logits_).first(needed);
}

std::span<std::byte> StepResults::best_bytes() {
  best_.resize(there_.size() * kBest);
  return std::as_writable_bytes(std::span(best_));
}

std::span<const float> StepResults::read_all(Device& device, const Buffer& arena) {
  const std::span<float> logits = rows();
  if (there_.empty() || std::ranges::find(there_, false) != there_.end())  // reading nothing waits, too
    device.read(arena, offset_, std::as_writable_bytes(logits));
  there_.assign(there_.size(), true);
  return logits;
}

std::span<const float> StepResults::read(Device& device, const Buffer& arena, std::int32_t row) {
  const auto r = static_cast<std::size_t>(row);
  const std::span<float> logits = rows().subspan(r * width_, width_);
  if (!there_[r]) device.read(arena, offset_ + r * width_ * sizeof(float), std::as_writable_bytes(logits));
  there_[r] = true;
  return logits;
}

// Free places have the token -1 and stand last.
std::span<const TokenLogit> StepResults::best(std::int32_t row) const {
  if (best_.empty()) return {};
  const auto list = std::span(best_).subspan(static_cast<std::size_t>(row) * kBest, kBest);
  return list.first(static_cast<std::size_t>(std::ranges::find(list, -1, &TokenLogit::token) - list.begin()));
}

}  // namespace medlar::runtime::gpu
