// Products with the matrices of experts for few pairs of each: linear_vec on every block of pairs. Grid: (n /
// 16, blocks).
#pragma once

#include "kernels/gpu/expert_linear.h"
#include "kernels/gpu/linear_vec.h"

// Blocks have up to BATCH pairs; those of one pair, which are the most, take a path of their own.
#define EXPERT_VEC(NAME, FORMAT, BATCH)                                                                 \
  KERNEL(128)                                                                                           \
  NAME(PARAMS(ExpertLinearParams, p), IN(1, ExpertBlock, blocks), IN(2, i32, pair_rows), IN(3, f32, x), \
       IN(4, u8, weights), IN(5, f32, bias), OUT(6, f32, y) GRID) {                                     \
    GRID_BEGIN                                                                                          \
    const DEVICE ExpertBlock& block = blocks[gk_tgid.y];                                                \
    const Place at = {gk_tgid.x, 0, 0, gk_tid, gk_lane, gk_sg};                                         \
    const LinearIo io = block_io(p, block, pair_rows, weights, bias, y);                                \
    const DEVICE f32* rows = x + (u64)first_x(p, block) * p.linear.k;                                   \
    if (BATCH == 1 || io.rows == 1)                                                                     \
      linear_vec<FORMAT, 1>(p.linear, io, rows, at);                                                    \
    else                                                                                                \
      linear_vec<FORMAT, BATCH>(p.linear, io, rows, at);                                                \
  }
