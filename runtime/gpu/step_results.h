// What the host has read of a step's results: the best of each row of logits, and of the logits themselves
// the rows that somebody asked for.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/backend.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

class StepResults {
 public:
  // `width`: of a row of logits.
  explicit StepResults(std::int64_t width) : width_(static_cast<std::size_t>(width)) {}

  // Of a step whose logits are at `offset` of the arena.
  void begin(std::int32_t rows, std::size_t offset);
  // Where its lists go, kBest of each row.
  std::span<std::byte> best_bytes();

  std::span<const float> read_all(Device& device, const Buffer& arena);
  std::span<const float> read(Device& device, const Buffer& arena, std::int32_t row);
  std::span<const TokenLogit> best(std::int32_t row) const;

 private:
  std::span<float> rows();

  const std::size_t width_;
  std::size_t offset_ = 0;  // bytes
  std::vector<float> logits_;
  std::vector<bool> there_;  // of each row
  std::vector<TokenLogit> best_;
};

}  // namespace medlar::runtime::gpu
