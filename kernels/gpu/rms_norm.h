// y = x / sqrt(mean(x^2) + eps) * weight [+ residual], one threadgroup a vector. Grid: (vectors).
#pragma once

#include "kernels/gpu/common.h"

KERNEL(256)
rms_norm(PARAMS(NormParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, f32, weight),
         IN(4, f32, residual), OUT(5, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, sums, 8);
  if (gk_tgid.x >= row_count(step, p.rows) * p.per_row) return;
  const u64 at = (u64)gk_tgid.x * p.dim;
  f32 squares = 0.f;
  for (u32 i = gk_tid; i < p.dim; i += 256) squares = g_fma(x[at + i], x[at + i], squares);
  squares = group_sum(squares, sums, 8, gk_lane, gk_sg);
  const f32 scale = g_rsqrt(squares / (f32)p.dim + p.eps);
  for (u32 i = gk_tid; i < p.dim; i += 256) {
    f32 v = x[at + i] * scale;
    if (p.has_weight) v *= weight[i];
    if (p.has_residual) v += residual[at + i];
    y[at + i] = v;
  }
}
