// What several kernels share: the step's counts, a thread's place, sums over a threadgroup and its threads,
// activations.
#pragma once

#include "kernels/gpu/params.h"
#include "kernels/gpu/prelude/prelude.h"

using namespace medlar::gpu;

// The place of a thread, for functions below kernel scope.
struct Place {
  u32 x, y, z;  // of the threadgroup in the grid
  u32 tid, lane, sg;
};
#define PLACE {gk_tgid.x, gk_tgid.y, gk_tgid.z, gk_tid, gk_lane, gk_sg}

FN u32 row_count(const DEVICE StepCounts* step, u32 which) {
  if (which == kRowsTokens) return (u32)step->tokens;
  if (which == kRowsLogits) return (u32)step->logit_rows;
  return 1;
}

FN u32 ceil_div(u32 a, u32 b) { return (a + b - 1) / b; }

// The sum over all threads, for every thread. `scratch` holds one value a simdgroup and is free again after
// the group's next barrier.
FN f32 group_sum(f32 v, TGMEM f32* scratch, u32 simdgroups, u32 lane, u32 sg) {
  v = simd_sum(v);
  if (lane == 0) scratch[sg] = v;
  tg_barrier();
  f32 sum = 0.f;
  for (u32 i = 0; i < simdgroups; ++i) sum += scratch[i];
  return sum;
}

FN f32 group_max(f32 v, TGMEM f32* scratch, u32 simdgroups, u32 lane, u32 sg) {
  v = simd_max(v);
  if (lane == 0) scratch[sg] = v;
  tg_barrier();
  f32 top = scratch[0];
  for (u32 i = 1; i < simdgroups; ++i) top = g_max(top, scratch[i]);
  return top;
}

// Sums over the lanes of n values each, a power of two: that of value i in lanes 32 / n i and following.
template <u32 n>
FN f32 simd_sums(THREAD f32* v, u32 lane) {
  u32 mask = 16;
  UNROLL for (u32 left = n / 2; left >= 1; left /= 2, mask /= 2) {
    const bool upper = lane & mask;
    UNROLL for (u32 i = 0; i < left; ++i) {
      const f32 keep = upper ? v[left + i] : v[i], give = upper ? v[i] : v[left + i];
      v[i] = keep + simd_shuffle_xor(give, mask);
    }
  }
  f32 sum = v[0];
  for (; mask >= 1; mask /= 2) sum += simd_shuffle_xor(sum, mask);
  return sum;
}

// What lower threads and this one have, added up. The arrays hold one value a thread and one a simdgroup.
FN u32 running_sum(u32 value, TGMEM u32* values, TGMEM u32* sums, u32 tid) {
  const u32 sg = tid / 32;
  values[tid] = value;
  tg_barrier();
  u32 sum = 0;
  for (u32 i = sg * 32; i <= tid; ++i) sum += values[i];
  if (tid % 32 == 31) sums[sg] = sum;
  tg_barrier();
  for (u32 i = 0; i < sg; ++i) sum += sums[i];
  return sum;
}

FN f32 sigmoid(f32 x) { return 1.f / (1.f + g_exp(-x)); }
FN f32 silu(f32 x) { return x * sigmoid(x); }
// The tanh approximation (Hendrycks & Gimpel 2016), by (1 + tanh u) / 2 = sigmoid(2u); 1.59577 is 2 sqrt(2 /
// pi).
FN f32 gelu(f32 x) { return x * sigmoid(1.5957691216f * (x + 0.044715f * x * x * x)); }

// x times the normal distribution below x; 1 - erf by 7.1.26 of Abramowitz & Stegun (1964).
FN f32 gelu_erf(f32 x) {
  const f32 z = g_abs(x) * 0.70710678f, t = 1.f / (1.f + 0.3275911f * z);
  const f32 p =
      ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
  const f32 beyond = 0.5f * p * g_exp(-z * z);
  return x * (x < 0.f ? beyond : 1.f - beyond);
}

FN f32 clamped_silu(f32 gate, f32 up) {
  const f32 g = gate > 7.f ? 7.f : gate, u = up > 7.f ? 7.f : up < -7.f ? -7.f : up;
  return g * sigmoid(1.702f * g) * (u + 1.f);
}

FN f32 gated(u32 activation, f32 gate, f32 up) {
  if (activation == kActivationSilu) return silu(gate) * up;
  if (activation == kActivationGelu) return gelu(gate) * up;
  if (activation == kActivationClampedSilu) return clamped_silu(gate, up);
  return gate * up;
}
