// Operands of large products in device memory (linear_wgmma.h): tiles of 128 rows x 64 columns of f16, each
// as the matrix unit reads it from threadgroup memory, so that a tile is one copy of 16 KiB. A row of a tile
// is 128 bytes, of which the 16-byte chunk c is stored at c ^ row % 8. Tiles lie one after the other along
// the columns, then along the rows. Columns are padded with zeros; what is in rows behind the last nobody
// asks.
#pragma once

#include "kernels/gpu/f16_words.h"

// Where the eight columns from k on of a row are, in 16-byte units.
FN u64 swizzled_unit(u32 row, u32 k, u32 k_tiles) {
  const u64 tile = (u64)(row / kSwizzledRows) * k_tiles + k / kSwizzledColumns;
  const u32 r = row % kSwizzledRows, chunk = k % kSwizzledColumns / 8;
  return tile * (kSwizzledBytes / 16) + r * 8 + (chunk ^ r % 8);
}
