// A lowered step before its memory is placed: dispatches over named regions; and the schedule that finds
// which of them may overlap and where activations go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

enum class RegionKind : std::uint8_t {
  weight,      // id: into Graph::weights()
  table,       // id: into Graph::tables()
  step,        // id: a StepField
  kv,          // id: 2 * layer, + 1 for the values
  activation,  // id: into StepPlan::activation_bytes
};

struct Region {
  RegionKind kind = RegionKind::activation;
  int id = -1;
  friend bool operator==(const Region&, const Region&) = default;
};

struct PlannedDispatch {
  const KernelInfo* kernel = nullptr;
  std::vector<std::byte> params;
  std::vector<Region> reads;   // the kernel's first buffers
  std::vector<Region> writes;  // and its last
  Extent grid;
};

struct StepPlan {
  std::vector<PlannedDispatch> dispatches;
  std::vector<std::size_t> activation_bytes;
  Region input;   // written before, where the graph has an ir::Received; else none
  Region output;  // read afterwards
  Region best;    // the same, where the best of the output are found; id -1: not
};

struct Schedule {
  std::vector<bool> barriers;        // before each dispatch
  std::vector<std::size_t> offsets;  // of each activation in the arena
  std::size_t arena_bytes = 0;
};

// Dispatches between two barriers touch no region that another of them writes, so a device may run them at
// once. Activations share memory only when a barrier lies between their uses. With `guard_bytes` none share,
// and that many bytes behind each are free.
Schedule schedule(const StepPlan& plan, std::size_t guard_bytes = 0);

}  // namespace medlar::runtime::gpu
