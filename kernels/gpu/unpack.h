// Rows of a matrix as swizzled tiles of f16, for large products. A simdgroup takes a row, a few pieces of
// eight columns a lane at a time, whose loads are on their way together. Grid: (rows / 8).
#pragma once

#include "kernels/gpu/swizzled_tiles.h"

enum { kUnpackPieces = 4 };

// The pieces from column k0 on.
template <class Format>
FN void load_pieces(const CONSTANT UnpackParams& p, const DEVICE u8* row, u32 k0,
                    THREAD u32 (&words)[kUnpackPieces][4]) {
  const u32 last = (p.k - 1) / 8 * 8;
  if (F16Words<Format>::kHasAligned && p.aligned) {
    UNROLL for (u32 i = 0; i < kUnpackPieces; ++i) {
      const u32 k = k0 + i * 256;
      F16Words<Format>::load_aligned(row, k < last ? k : last, p.k, words[i]);
    }
  } else {
    UNROLL for (u32 i = 0; i < kUnpackPieces; ++i) {
      const u32 k = k0 + i * 256;
      F16Words<Format>::load(row, k < last ? k : last, p.k, words[i]);
    }
  }
}

template <class Format>
FN void unpack_row(const CONSTANT UnpackParams& p, const DEVICE u8* weight, DEVICE u8* y, u32 row, u32 lane) {
  const DEVICE u8* from = weight + (u64)(p.first + row) * p.row_bytes;
  const u32 columns = p.k_tiles * kSwizzledColumns;
  for (u32 k0 = lane * 8; k0 < columns; k0 += kUnpackPieces * 256) {
    u32 words[kUnpackPieces][4];
    load_pieces<Format>(p, from, k0, words);
    UNROLL for (u32 i = 0; i < kUnpackPieces; ++i) {
      const u32 k = k0 + i * 256;
      if (k >= p.k) words[i][0] = words[i][1] = words[i][2] = words[i][3] = 0u;
      if (k < columns) st_u32x4(y + swizzled_unit(row, k, p.k_tiles) * 16, words[i]);
    }
  }
}

#define UNPACK(NAME, FORMAT)                                             \
  KERNEL(256)                                                            \
  NAME(PARAMS(UnpackParams, p), IN(1, u8, weight), OUT(2, u8, y) GRID) { \
    GRID_BEGIN                                                           \
    const u32 row = gk_tgid.x * 8 + gk_sg;                               \
    if (row < p.rows) unpack_row<FORMAT>(p, weight, y, row, gk_lane);    \
  }
