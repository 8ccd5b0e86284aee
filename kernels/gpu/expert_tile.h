// Products with the matrices of experts for many pairs of each: linear_tile on every block of up to 64 pairs.
// Grid: (n / 64, blocks).
#pragma once

#include "kernels/gpu/expert_linear.h"
#include "kernels/gpu/linear_tile.h"

#define EXPERT_TILE(NAME, FORMAT)                                                                           \
  KERNEL(256)                                                                                               \
  NAME(PARAMS(ExpertLinearParams, p), IN(1, ExpertBlock, blocks), IN(2, i32, pair_rows), IN(3, u8, x),      \
       IN(4, f32, scales), IN(5, u8, weights), IN(6, f32, bias), OUT(7, f32, y) GRID) {                     \
    GRID_BEGIN                                                                                              \
    TGARRAY(f16, xs, kTile* kTileStride);                                                                   \
    TGARRAY(f16, ws, kTile* kTileStride);                                                                   \
    const DEVICE ExpertBlock& block = blocks[gk_tgid.y];                                                    \
    const Place at = {gk_tgid.x, 0, 0, gk_tid, gk_lane, gk_sg};                                             \
    const LinearIo io = block_io(p, block, pair_rows, weights, bias, y);                                    \
    const u64 first = first_x(p, block);                                                                    \
    const TilePart part = {0, p.linear.k, false, false};                                                    \
    linear_tile<FORMAT>(p.linear, io, x + first * (ceil_div(p.linear.k, 8) * 16), scales + first, at, part, \
                        xs, ws);                                                                            \
  }
