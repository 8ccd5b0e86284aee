// Rows of activations as f16 for tile products, RMS-normalised first if asked. Each row is divided by a power
// of two that puts its largest magnitude near 2^13: f16 alone overflows on models with large activations
// (Gemma). One threadgroup a vector. Grid: (vectors).
#pragma once

#include "kernels/gpu/common.h"

// The power of two s with 2^13 <= top / s < 2^14, within f32's exponents; 1 for a row of zeros.
FN f32 row_scale(f32 top) {
  const u32 exponent = bits_u32(top) >> 23;
  return exponent == 0 ? 1.f : bits_f32((exponent > 13 ? exponent - 13 : 1u) << 23);
}

KERNEL(256)
prepare(PARAMS(PrepareParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, f32, weight), OUT(4, f16, y),
        OUT(5, f32, scales) GRID) {
  GRID_BEGIN
  TGARRAY(f32, sums, 8);
  TGARRAY(f32, tops, 8);
  if (gk_tgid.x >= row_count(step, p.rows) * p.per_row) return;
  const u64 at = (u64)gk_tgid.x * p.dim;
  f32 squares = 0.f, top = 0.f;
  for (u32 i = gk_tid; i < p.dim; i += 256) {
    const f32 v = x[at + i];
    squares = g_fma(v, v, squares);
    top = g_max(top, g_abs(p.has_weight ? v * weight[i] : v));
  }
  f32 norm = 1.f;
  if (p.norm) norm = g_rsqrt(group_sum(squares, sums, 8, gk_lane, gk_sg) / (f32)p.dim + p.eps);
  const f32 scale = row_scale(group_max(top, tops, 8, gk_lane, gk_sg) * norm);
  for (u32 i = gk_tid; i < p.dim; i += 256) {
    const f32 v = x[at + i] * norm;
    y[at + i] = to_f16((p.has_weight ? v * weight[i] : v) / scale);
  }
  if (gk_tid == 0) scales[gk_tgid.x] = scale;
}
