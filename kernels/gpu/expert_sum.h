// y = [residual +] the sum over a row's experts of their weight times their result (kernels/args.h:
// ExpertSumArgs), in the order of experts. Grid: (dim / 128, rows).
#pragma once

#include "kernels/gpu/common.h"

// weights, places: (rows, experts); x: a row for each pair.
KERNEL(128)
expert_sum(PARAMS(ExpertSumParams, p), IN(1, StepCounts, step), IN(2, f32, weights), IN(3, i32, places),
           IN(4, f32, x), IN(5, f32, residual), OUT(6, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 128 + gk_tid;
  if (i >= p.dim || gk_tgid.y >= row_count(step, p.rows)) return;
  const u64 row = (u64)gk_tgid.y * p.experts, to = (u64)gk_tgid.y * p.dim + i;
  f32 sum = p.has_residual ? residual[to] : 0.f;
  for (u32 e = 0, left = p.used; e < p.experts && left > 0; ++e) {
    const f32 weight = weights[row + e];
    if (weight == 0.f) continue;
    sum = g_fma(weight, x[(u64)places[row + e] * p.dim + i], sum);
    --left;
  }
  y[to] = sum;
}
