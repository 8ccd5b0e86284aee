// y = x W^T [+ bias] [+ residual] for many rows of x: tiles of 64 x 64 over the matrix unit. Weights are
// decoded into threadgroup memory as f16; x comes as f16 rows with a scale each, from prepare. Four
// simdgroups of 32 x 32. Grid: (n / 64, rows / 64).
#pragma once

#include "kernels/gpu/linear.h"

enum {
  kTile = 64,
  kTileDepth = 32,
  kTileStride = 40
};  // a stride of 40 halves: no bank conflicts, 16-byte rows

// Copies x[m0.., k0..] and decodes W[n0.., k0..]: eight values a thread at a time, zeros outside.
template <class Format>
FN void load_tiles(const CONSTANT LinearParams& p, const THREAD LinearIo& io, const DEVICE f16* x,
                   const THREAD Place& at, u32 k0, TGMEM f16* xs, TGMEM f16* ws) {
  const u32 m0 = at.y * kTile, n0 = at.x * kTile;
  for (u32 piece = at.tid; piece < kTile * kTileDepth / 8; piece += 128) {
    const u32 r = piece / 4, k = k0 + piece % 4 * 8, to = r * kTileStride + piece % 4 * 8;
    f32 w[8];
    UNROLL for (u32 i = 0; i < 8; ++i) w[i] = 0.f;
    if (n0 + r < p.n && k < p.k) Format::load8(io.weight + (u64)(n0 + r) * p.row_bytes, k, p.k, w);
    UNROLL for (u32 i = 0; i < 8; ++i) ws[to + i] = to_f16(w[i]);
    const bool has_x = m0 + r < io.rows;
    const u64 from = has_x ? (u64)x_row(io, m0 + r) * p.k : 0;
    UNROLL for (u32 i = 0; i < 8; ++i) xs[to + i] = has_x && k + i < p.k ? x[from + k + i] : to_f16(0.f);
  }
}

template <class Format>
FN void linear_tile(const CONSTANT LinearParams& p, const THREAD LinearIo& io, const DEVICE f16* x,
                    const DEVICE f32* scales, const THREAD Place& at, TGMEM f16* xs, TGMEM f16* ws) {
  if (at.y * kTile >= io.rows) return;
  const u32 m = at.sg / 2 * 32, n = at.sg % 2 * 32;  // this simdgroup's corner of the tile
  const u32 m0 = at.y * kTile + m, n0 = at.x * kTile + n;
  const bool busy = m0 < io.rows && n0 < p.n;
  MmaC c[2][2];
  UNROLL for (u32 i = 0; i < 2; ++i) UNROLL for (u32 j = 0; j < 2; ++j) mma_zero(c[i][j]);
  for (u32 k0 = 0; k0 < p.k; k0 += kTileDepth) {
    load_tiles<Format>(p, io, x, at, k0, xs, ws);
    tg_barrier();
    if (busy) {
      UNROLL for (u32 k = 0; k < kTileDepth; k += 16) {
        MmaA a[2];
        MmaB b[2];
        UNROLL for (u32 i = 0; i < 2; ++i) {
          mma_load_a(a[i], xs + (m + i * 16) * kTileStride + k, kTileStride, at.lane);
          mma_load_bt(b[i], ws + (n + i * 16) * kTileStride + k, kTileStride, at.lane);
        }
        UNROLL for (u32 i = 0; i < 2; ++i) UNROLL for (u32 j = 0; j < 2; ++j) mma(c[i][j], a[i], b[j]);
      }
    }
    tg_barrier();
  }
  UNROLL for (u32 i = 0; i < 2; ++i) UNROLL for (u32 j = 0; j < 2; ++j)
      UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const u32 row = m0 + i * 16 + mma_row(e, at.lane), column = n0 + j * 16 + mma_col(e, at.lane);
    if (row < io.rows && column < p.n)
      finish(p, io, row, column, mma_get(c[i][j], e) * scales[x_row(io, row)]);
  }
}

#define LINEAR_TILE(NAME, FORMAT)                                                           \
  KERNEL(128)                                                                               \
  NAME(PARAMS(LinearParams, p), IN(1, StepCounts, step), IN(2, f16, x), IN(3, f32, scales), \
       IN(4, u8, weight), IN(5, f32, bias), IN(6, f32, residual), OUT(7, f32, y) GRID) {    \
    GRID_BEGIN                                                                              \
    TGARRAY(f16, xs, kTile* kTileStride);                                                   \
    TGARRAY(f16, ws, kTile* kTileStride);                                                   \
    const Place at = PLACE;                                                                 \
    const LinearIo io = {weight, bias, residual, y, row_count(step, p.rows), false, 0};     \
    linear_tile<FORMAT>(p, io, x, scales, at, xs, ws);                                      \
  }
