// Rows of f32 as rows of bytes (int8_rows.h), times the weight of the RMS norm that a product applies to what
// it reads. One simdgroup 32 values. Grid: (dim / 256, rows).
#pragma once

#include "kernels/gpu/int8_rows.h"

KERNEL(256)
quantize(PARAMS(QuantizeParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, f32, weight),
         OUT(4, u8, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid, row = gk_tgid.y;
  if (i >= p.dim || row >= row_count(step, p.rows)) return;
  const f32 v = x[(u64)row * p.dim + i];
  store_int8(y + (u64)row * int8_row_bytes(p.dim), p.dim, i, p.has_weight ? v * weight[i] : v, v * v,
             gk_lane);
}
