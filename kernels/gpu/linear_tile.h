// y = x W^T [+ bias] [+ residual] for many rows of x: tiles of 64 x 64 over the matrix unit. Weights are
// decoded once for 64 rows, into threadgroup memory as f16; x comes as f16 rows with a scale each, from
// prepare. What the next step needs is on its way to registers while the matrix unit works. Four simdgroups
// of 32 x 32.
//
// Where the tiles are too few for the device, the columns are divided into parts, whose sums linear_sum adds
// up. Grid: (n / 64, rows / 64, parts).
#pragma once

#include "kernels/gpu/f16_words.h"
#include "kernels/gpu/linear.h"

enum {
  kTile = 64,
  kTileDepth = 64,
  kTileStride = 72,  // halves: no bank conflicts, 16-byte rows
  kTileThreads = 256,
  kTilePieces = kTile * kTileDepth / 8 / kTileThreads,  // of eight values, a thread
  kTileApart = kTileThreads * 8 / kTileDepth            // rows from one piece to the next
};

// What a thread brings of one matrix: the same eight columns of rows that are kTileApart apart.
struct TilePieces {
  u32 words[kTilePieces][4];
};

// The pieces' rows; behind the last one it again, so that no branch stands between loads.
struct TileRows {
  const DEVICE u8* at[kTilePieces];
};

FN TileRows weight_rows(const CONSTANT LinearParams& p, const DEVICE u8* weight, u32 n0) {
  TileRows rows;
  UNROLL for (u32 i = 0; i < kTilePieces; ++i) {
    const u32 row = n0 + i * kTileApart;
    rows.at[i] = weight + (u64)(row < p.n ? row : p.n - 1) * p.row_bytes;
  }
  return rows;
}

FN TileRows rows_of_x(const THREAD LinearIo& io, const DEVICE u8* x, u32 stride, u32 m0) {
  TileRows rows;
  UNROLL for (u32 i = 0; i < kTilePieces; ++i) {
    const u32 row = m0 + i * kTileApart;
    rows.at[i] = x + (u64)x_row(io, row < io.rows ? row : io.rows - 1) * stride * 2;
  }
  return rows;
}

// Columns behind the last are zeros in x, so that those of the weights may be anything.
template <class Format>
FN void load_weights(const THREAD TileRows& rows, u32 k, u32 end, bool aligned, THREAD TilePieces& to) {
  const u32 last = (end - 1) / 8 * 8, at = k < last ? k : last;
  if (F16Words<Format>::kHasAligned && aligned) {
    UNROLL for (u32 i = 0; i < kTilePieces; ++i)
        F16Words<Format>::load_aligned(rows.at[i], at, end, to.words[i]);
  } else {
    UNROLL for (u32 i = 0; i < kTilePieces; ++i) F16Words<Format>::load(rows.at[i], at, end, to.words[i]);
  }
}

FN void load_rows(const THREAD TileRows& rows, u32 k, u32 stride, THREAD TilePieces& to) {
  UNROLL for (u32 i = 0; i < kTilePieces; ++i) ld_u32x4(rows.at[i] + (k < stride ? k : 0u) * 2, to.words[i]);
  if (k < stride) return;
  UNROLL for (u32 i = 0; i < kTilePieces; ++i) UNROLL for (u32 j = 0; j < 4; ++j) to.words[i][j] = 0u;
}

FN void store_pieces(const THREAD TilePieces& from, TGMEM f16* to) {
  UNROLL for (u32 i = 0; i < kTilePieces; ++i) st_u32x4(to + i * kTileApart * kTileStride, from.words[i]);
}

FN void multiply_step(const TGMEM f16* xs, const TGMEM f16* ws, u32 lane, THREAD MmaC (&c)[2]) {
  UNROLL for (u32 k = 0; k < kTileDepth; k += 16) {
    MmaA a[2];
    MmaB b;
    UNROLL for (u32 i = 0; i < 2; ++i) mma_load_a(a[i], xs + i * 16 * kTileStride + k, kTileStride, lane);
    mma_load_bt(b, ws + k, kTileStride, lane);
    UNROLL for (u32 i = 0; i < 2; ++i) mma(c[i], a[i], b);
  }
}

// Which columns are multiplied; unless it is all of them, the bare sums are stored.
struct TilePart {
  u32 begin, end;
  bool bare;
  bool aligned;  // rows of weights, to 16 bytes
};

template <class Format>
FN void linear_tile(const CONSTANT LinearParams& p, const THREAD LinearIo& io, const DEVICE u8* x,
                    const DEVICE f32* scales, const THREAD Place& at, const THREAD TilePart& of,
                    TGMEM f16* xs, TGMEM f16* ws) {
  if (at.y * kTile >= io.rows) return;
  const u32 m = at.sg / 4 * 32, n = at.sg % 4 * 16;  // this simdgroup's corner of the tile
  const u32 m0 = at.y * kTile + m, n0 = at.x * kTile + n, stride = ceil_div(p.k, 8) * 8;
  const u32 r = at.tid / 8, column = at.tid % 8 * 8;  // this thread's first piece
  const bool busy = m0 < io.rows && n0 < p.n;
  MmaC c[2];
  UNROLL for (u32 i = 0; i < 2; ++i) mma_zero(c[i]);
  const TileRows w_rows = weight_rows(p, io.weight, at.x * kTile + r);
  const TileRows x_rows = rows_of_x(io, x, stride, at.y * kTile + r);
  TilePieces w, rows;
  load_weights<Format>(w_rows, of.begin + column, p.k, of.aligned, w);
  load_rows(x_rows, of.begin + column, stride, rows);
  for (u32 k = of.begin; k < of.end; k += kTileDepth) {
    store_pieces(w, ws + r * kTileStride + column);
    store_pieces(rows, xs + r * kTileStride + column);
    tg_barrier();
    if (k + kTileDepth < of.end) {
      load_weights<Format>(w_rows, k + kTileDepth + column, p.k, of.aligned, w);
      load_rows(x_rows, k + kTileDepth + column, stride, rows);
    }
    if (busy) multiply_step(xs + m * kTileStride, ws + n * kTileStride, at.lane, c);
    tg_barrier();
  }
  UNROLL for (u32 i = 0; i < 2; ++i) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const u32 row = m0 + i * 16 + mma_row(e, at.lane), to = n0 + mma_col(e, at.lane);
    if (row >= io.rows || to >= p.n) continue;
    const f32 sum = mma_get(c[i], e) * scales[x_row(io, row)];
    if (of.bare)
      io.y[(u64)row * p.n + to] = sum;
    else
      finish(p, io, row, to, sum);
  }
}

#define LINEAR_TILE(NAME, FORMAT)                                                                           \
  KERNEL(256)                                                                                               \
  NAME(PARAMS(TileParams, p), IN(1, StepCounts, step), IN(2, u8, x), IN(3, f32, scales), IN(4, u8, weight), \
       IN(5, f32, bias), IN(6, f32, residual), OUT(7, f32, y) GRID) {                                       \
    GRID_BEGIN                                                                                              \
    TGARRAY(f16, xs, kTile* kTileStride);                                                                   \
    TGARRAY(f16, ws, kTile* kTileStride);                                                                   \
    const Place at = PLACE;                                                                                 \
    const LinearIo io = {                                                                                   \
        weight, bias, residual, y + (u64)at.z * p.part_rows * p.linear.n, row_count(step, p.linear.rows),   \
        false,  0};                                                                                         \
    const u32 k0 = at.z * p.part_columns, end = k0 + p.part_columns, k = p.linear.k;                        \
    const TilePart part = {k0, end < k ? end : k, p.parts > 1, p.aligned != 0};                             \
    linear_tile<FORMAT>(p.linear, io, x, scales, at, part, xs, ws);                                         \
  }
