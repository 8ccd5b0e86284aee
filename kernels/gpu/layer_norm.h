// y = (x - mean(x)) / sqrt(variance(x) + eps) * weight [+ bias], one threadgroup a row. Grid: (rows).
#pragma once

#include "kernels/gpu/common.h"

KERNEL(256)
layer_norm(PARAMS(LayerNormParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, f32, weight),
           IN(4, f32, bias), OUT(5, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, sums, 8);
  TGARRAY(f32, squares, 8);
  if (gk_tgid.x >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.x * p.dim;
  f32 total = 0.f, spread = 0.f;
  for (u32 i = gk_tid; i < p.dim; i += 256) total += x[at + i];
  const f32 mean = group_sum(total, sums, 8, gk_lane, gk_sg) / (f32)p.dim;
  for (u32 i = gk_tid; i < p.dim; i += 256) spread = g_fma(x[at + i] - mean, x[at + i] - mean, spread);
  spread = group_sum(spread, squares, 8, gk_lane, gk_sg);
  const f32 scale = g_rsqrt(spread / (f32)p.dim + p.eps);
  for (u32 i = gk_tid; i < p.dim; i += 256) {
    f32 v = (x[at + i] - mean) * scale * weight[i];
    if (p.has_bias) v += bias[i];
    y[at + i] = v;
  }
}
