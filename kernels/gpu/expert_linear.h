// What both kinds of products with stacked matrices share: a block of pairs is a product like any other, with
// its expert's matrix and its own rows of x and y.
#pragma once

#include "kernels/gpu/linear.h"

// y has a row for each pair. x has one too, or where p.gather the step's rows: pair_rows[p] for pair p.
FN LinearIo block_io(const CONSTANT ExpertLinearParams& p, const DEVICE ExpertBlock& block,
                     const DEVICE i32* pair_rows, const DEVICE u8* weights, const DEVICE f32* bias,
                     DEVICE f32* y) {
  const LinearIo io = {weights + (u64)block.expert * p.linear.n * p.linear.row_bytes,
                       bias + (u64)block.expert * p.linear.n,
                       0,
                       y + (u64)block.first * p.linear.n,
                       block.rows,
                       p.gather != 0,
                       pair_rows + block.first};
  return io;
}

// Where the block's rows of x begin.
FN u32 first_x(const CONSTANT ExpertLinearParams& p, const DEVICE ExpertBlock& block) {
  return p.gather ? 0 : block.first;
}
