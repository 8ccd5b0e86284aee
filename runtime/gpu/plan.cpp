#include "runtime/gpu/plan.h"

#include <algorithm>

#include "ir/arena.h"

namespace medlar::runtime::gpu {
namespace {

bool overlap(const std::vector<Region>& a, const std::vector<Region>& b) {
  return std::ranges::any_of(a, [&](const Region& r) { return std::ranges::find(b, r) != b.end(); });
}

// What the dispatches since the last barrier have touched.
struct Wave {
  std::vector<Region> reads, writes;

  bool conflicts(const PlannedDispatch& d) const {
    return overlap(d.reads, writes) || overlap(d.writes, writes) || overlap(d.writes, reads);
  }
  void add(const PlannedDispatch& d) {
    reads.insert(reads.end(), d.reads.begin(), d.reads.end());
    writes.insert(writes.end(), d.writes.begin(), d.writes.end());
  }
};

}  // namespace

Schedule schedule(const StepPlan& plan, std::size_t guard_bytes) {
  Schedule result;
  std::vector<ir::Lifetime> lifetimes;
  for (std::size_t bytes : plan.activation_bytes)
    lifetimes.push_back({.bytes = bytes, .first = -1, .last = -1});
  Wave wave;
  int number = 0;  // of the wave
  const auto touch = [&](const Region& region) {
    if (region.kind != RegionKind::activation || region.id < 0) return;
    ir::Lifetime& l = lifetimes[static_cast<std::size_t>(region.id)];
    if (l.first < 0) l.first = number;
    l.last = number;
  };
  touch(plan.input);
  for (const PlannedDispatch& d : plan.dispatches) {
    const bool barrier = wave.conflicts(d);
    if (barrier) wave = {}, ++number;
    wave.add(d);
    result.barriers.push_back(barrier);
    for (const Region& region : d.reads) touch(region);
    for (const Region& region : d.writes) touch(region);
  }
  ++number;
  touch(plan.output);
  if (plan.best.id >= 0) touch(plan.best);
  if (guard_bytes)
    for (ir::Lifetime& l : lifetimes) l.first = 0, l.last = number;
  ir::ArenaLayout layout = ir::pack(lifetimes, guard_bytes);
  result.offsets = std::move(layout.offsets);
  result.arena_bytes = layout.bytes;
  return result;
}

}  // namespace medlar::runtime::gpu
