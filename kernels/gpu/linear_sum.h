// The sums of linear_tile's parts, with what is added to them. Grid: (n / 256, rows).
#pragma once

#include "kernels/gpu/linear.h"

KERNEL(256)
linear_sum(PARAMS(TileParams, p), IN(1, StepCounts, step), IN(2, f32, parts), IN(3, f32, bias),
           IN(4, f32, residual), OUT(5, f32, y) GRID) {
  GRID_BEGIN
  const u32 column = gk_tgid.x * 256 + gk_tid, row = gk_tgid.y;
  const LinearIo io = {0, bias, residual, y, row_count(step, p.linear.rows), false, 0};
  if (row >= io.rows || column >= p.linear.n) return;
  f32 sum = 0.f;
  for (u32 i = 0; i < p.parts; ++i) sum += parts[((u64)i * p.part_rows + row) * p.linear.n + column];
  finish(p.linear, io, row, column, sum);
}
