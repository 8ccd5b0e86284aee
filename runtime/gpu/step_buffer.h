// The device step buffer: what changes from step to step, in device memory (kernels/step.h; gpu::StepCounts).
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "kernels/step.h"
#include "runtime/backend.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

// The arrays in it, each of which a kernel can be given.
enum class StepField : std::uint8_t {
  counts,
  token_ids,
  positions,
  sequences,
  runs,  // the first token of each run of tokens of one sequence, and the number of tokens
  rows,
  pages
};  // pages + g: group g

class StepBuffer {
 public:
  StepBuffer(Device& device, const ProgramOptions& options);

  // What it takes at first.
  static std::size_t bytes(const ProgramOptions& options);

  // Runs of neighbouring tokens of one sequence.
  static int runs(const kernels::Step& step);

  // Sends `step`. Returns whether the buffer moved, because page tables were longer than ever before: then
  // bindings that were taken before are stale.
  bool send(const kernels::Step& step);

  Binding binding(int field) const;  // a StepField, or pages + group

 private:
  static constexpr std::size_t kFields = static_cast<std::size_t>(StepField::pages) + kernels::kMaxKvGroups;

  using Words = std::array<std::size_t, kFields>;  // for each field

  static Words capacities(const ProgramOptions& options);
  static Words offsets(const Words& capacity, std::size_t& end);
  void place();
  std::span<std::int32_t> field(std::size_t i);

  Device& device_;
  Words capacity_, offset_{};
  std::vector<std::int32_t> starts_;  // of runs
  std::vector<std::int32_t> image_;   // of the whole buffer
  std::unique_ptr<Buffer> buffer_;
};

}  // namespace medlar::runtime::gpu
