// Products of each head with a matrix of its own; what is past the matrix passes through (kernels/args.h:
// HeadLinearArgs). A simdgroup computes four outputs of a head, its lanes walk along k. Grid: (n / 16, heads,
// rows).
#pragma once

#include "kernels/gpu/linear_vec.h"

template <class Format>
FN void head_linear(const CONSTANT HeadLinearParams& p, const DEVICE f32* x, const DEVICE u8* weights,
                    DEVICE f32* y, const THREAD Place& at) {
  const u32 n0 = (at.x * kVecSimdgroups + at.sg) * kVecRows;
  f32 sums[kVecRows];
  UNROLL for (u32 r = 0; r < kVecRows; ++r) sums[r] = 0.f;
  for (u32 k = at.lane * 8; k < p.k; k += 32 * 8) {
    const u32 count = p.k - k < 8 ? p.k - k : 8;
    UNROLL for (u32 r = 0; r < kVecRows; ++r) {
      f32 w[8];
      const u32 row = n0 + r < p.n ? n0 + r : p.n - 1;  // past the end: a valid row, whose sum nobody stores
      Format::load8(weights + (u64)row * p.row_bytes, k, p.k, w);
      for (u32 i = 0; i < count; ++i) sums[r] = g_fma(w[i], x[k + i], sums[r]);
    }
  }
  UNROLL for (u32 r = 0; r < kVecRows; ++r) {
    const f32 sum = simd_sum(sums[r]);
    if (at.lane == 0 && n0 + r < p.n) y[n0 + r] = sum;
  }
  if (at.x == 0)
    for (u32 i = at.tid; i < p.rest; i += 128) y[p.n + i] = x[p.k + i];
}

#define HEAD_LINEAR(NAME, FORMAT)                                                               \
  KERNEL(128)                                                                                   \
  NAME(PARAMS(HeadLinearParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, u8, weights), \
       OUT(4, f32, y) GRID) {                                                                   \
    GRID_BEGIN                                                                                  \
    const Place at = PLACE;                                                                     \
    if (at.z >= row_count(step, p.rows)) return;                                                \
    const u64 head = (u64)at.z * p.heads + at.y;                                                \
    head_linear<FORMAT>(p, x + head * (p.k + p.rest), weights + (u64)at.y * p.n * p.row_bytes,  \
                        y + head * (p.n + p.rest), at);                                         \
  }
