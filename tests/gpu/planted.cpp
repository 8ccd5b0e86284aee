// Kernels with one mistake each, and some without, for builds under a sanitizer: `planted NAME` runs one and
// prints "finished". scripts/test-gpu.sh expects ThreadSanitizer or AddressSanitizer to name the marked line.
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "kernels/gpu/common.h"
#include "kernels/gpu/emulator/kernels.h"

struct PlantedParams {
  u32 n;
};

KERNEL(256) missing_barrier(PARAMS(PlantedParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 256);
  shared[gk_tid] = 1.f;
  y[gk_tid] = shared[255 - gk_tid];  // planted: missing_barrier
}

KERNEL(32) group_race(PARAMS(PlantedParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  if (gk_tid == 0) y[0] = (f32)gk_tgid.x;  // planted: group_race
}

KERNEL(32) device_overrun(PARAMS(PlantedParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  y[gk_tid + p.n - 31] = 1.f;  // planted: device_overrun
}

KERNEL(32) threadgroup_overrun(PARAMS(PlantedParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 32);
  shared[gk_tid + 1] = 1.f;  // planted: threadgroup_overrun
  y[gk_tid] = shared[gk_tid];
}

namespace {

using namespace medlar;  // NOLINT

void launch(emulator::Machine& machine, std::string_view name, emulator::Extent grid,
            std::vector<const void*> args) {
  const emulator::EmulatedKernel* kernel = emulator::find_kernel(name);
  machine.run({name, kernel->run, args.data(), grid, kernel->threads});
}

// Nine tokens that use one of two experts each.
void experts(emulator::Machine& machine, const std::vector<u8>& weights, const std::vector<float>& x,
             std::vector<float>& y) {
  const gpu::StepCounts step{9, 1, {1, 1, 1, 1}};
  std::vector<float> chosen(9 * 2);
  std::vector<gpu::ExpertBlock> blocks(3);
  std::vector<i32> rows(9), places(9 * 2);
  const gpu::RouteParams route{gpu::kRowsTokens, 2, 1, 1, gpu::kScoreSoftmax, 0, 1, 1, 1, 1};
  launch(machine, "route", {9}, {&route, &step, x.data(), x.data(), chosen.data()});
  const gpu::ExpertPairsParams pairs{gpu::kRowsTokens, 2, 8, 3};
  launch(machine, "expert_pairs", {},
         {&pairs, &step, chosen.data(), blocks.data(), rows.data(), places.data()});
  const gpu::ExpertLinearParams linear{{0, 32, 256, 144, 0, 0}, 1};
  launch(machine, "expert_vec_q4_k_8", {2, 3},
         {&linear, blocks.data(), rows.data(), x.data(), weights.data(), x.data(), y.data()});
  const std::vector<u16> halves(9 * 256);
  const std::vector<float> scales(9);
  launch(machine, "expert_tile_q4_k", {1, 3},
         {&linear, blocks.data(), rows.data(), halves.data(), scales.data(), weights.data(), x.data(),
          y.data()});
  const gpu::ExpertSumParams sum{gpu::kRowsTokens, 32, 2, 1, 0};
  launch(machine, "expert_sum", {1, 9},
         {&sum, &step, chosen.data(), places.data(), x.data(), x.data(), y.data()});
}

// One kernel of each kind: reductions, tiles over the matrix unit, attention with splits.
void clean(emulator::Machine& machine) {
  const gpu::StepCounts step{40, 1, {1, 1, 1, 1}};
  std::vector<float> x(40 * 256, 0.5F), y(40 * 256), scales(40), parts(40 * 2 * 2 * 66);
  std::vector<u16> halves(40 * 256);
  const std::vector<u8> weights(256 * 144, 1), cache(64 * 2 * 64 * 4);
  const gpu::NormParams norm{gpu::kRowsTokens, 1, 256, 1e-6F, 1, 0};
  launch(machine, "rms_norm", {40}, {&norm, &step, x.data(), x.data(), x.data(), y.data()});
  const gpu::PrepareParams prepare{gpu::kRowsTokens, 256, 1, 1, 1e-6F, 1, 0};
  launch(machine, "prepare", {40}, {&prepare, &step, x.data(), x.data(), halves.data(), scales.data()});
  const gpu::LinearParams linear{gpu::kRowsTokens, 256, 256, 144, 0, 0};
  const gpu::TileParams tile{linear, 1, 256, 40, 0};
  launch(machine, "linear_tile_q4_k", {4, 1},
         {&tile, &step, halves.data(), scales.data(), weights.data(), x.data(), x.data(), y.data()});
  launch(machine, "linear_vec_q4_k_8", {16, 5},
         {&linear, &step, x.data(), weights.data(), x.data(), x.data(), y.data()});
  experts(machine, weights, x, y);
  std::vector<i32> positions(40), sequences(40), pages(1);
  for (i32 t = 0; t < 40; ++t) positions[static_cast<std::size_t>(t)] = t;
  const gpu::AttentionParams attention{.heads = 2,
                                       .kv_heads = 2,
                                       .k_dim = 64,
                                       .v_dim = 64,
                                       .k_row_bytes = 256,
                                       .v_row_bytes = 256,
                                       .k_page_bytes = 1,
                                       .v_page_bytes = 1,
                                       .scale = 1,
                                       .softcap = 0,
                                       .window = 0,
                                       .group = 0,
                                       .has_sinks = 0,
                                       .splits = 2,
                                       .causal = 1};
  launch(machine, "attention_f32_f32", {2, 40, 2},
         {&attention, &step, positions.data(), sequences.data(), pages.data(), x.data(), cache.data(),
          cache.data(), x.data(), parts.data()});
  launch(machine, "attention_combine", {2, 40}, {&attention, &step, parts.data(), x.data(), y.data()});
}

template <auto kKernel>
void planted(emulator::Machine& machine, u32 threads, u32 groups) {
  std::vector<float> y(threads);
  const PlantedParams params{threads};
  const void* args[] = {&params, y.data()};
  machine.run({"planted", &emulator::Bound<kKernel>::run, args, {groups}, threads});
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  emulator::Machine machine;
  if (name == "clean") clean(machine);
  if (name == "missing_barrier") planted<&missing_barrier>(machine, 256, 1);
  if (name == "group_race") planted<&group_race>(machine, 32, 64);
  if (name == "device_overrun") planted<&device_overrun>(machine, 32, 1);
  if (name == "threadgroup_overrun") planted<&threadgroup_overrun>(machine, 32, 1);
  std::puts("finished");
  return 0;
}
