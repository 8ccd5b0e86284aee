// What both kinds of products share: where results go and how they end.
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/weights.h"

struct LinearIo {
  const DEVICE u8* weight;  // (n) rows of row_bytes
  const DEVICE f32* bias;
  const DEVICE f32* residual;
  DEVICE f32* y;
  u32 rows;       // of x and y
  bool gathered;  // row m of the product is of x's row x_rows[m], not of row m
  const DEVICE i32* x_rows;
};

FN u32 x_row(const THREAD LinearIo& io, u32 row) { return io.gathered ? (u32)io.x_rows[row] : row; }

// Stores one sum with what is added to it.
FN void finish(const CONSTANT LinearParams& p, const THREAD LinearIo& io, u32 row, u32 column, f32 sum) {
  const u64 to = (u64)row * p.n + column;
  if (p.has_bias) sum += io.bias[column];
  if (p.has_residual) sum += io.residual[to];
  io.y[to] = sum;
}
