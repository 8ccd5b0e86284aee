// IQ1_M: 256 values -1, 0 or 1 in cells of eight, each a point of IQ1_S's grid that is moved up or down by an
// eighth; each 16 elements have a scale of three bits, among which the f16 factor that they share is hidden.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq1_grid.h"

namespace medlar {
namespace formats {

struct BlockIq1_M {
  enum : u32 { kLength = 256, kGroup = 16 };
  u8 codes[32];   // bits 0-7 of the point of each eight elements
  u8 high[16];    // of cells 2 j (low half) and 2 j + 1: bits 8-10 of the point, whether it is moved down
  u16 scales[4];  // of groups 4 j to 4 j + 3 in bits 0-11; bits 12-15: bits 4 j to 4 j + 3 of the f16 factor
};

// The bits of the f16 factor.
MEDLAR_FN u16 scale_bits(const MEDLAR_DEVICE BlockIq1_M* b) {
  return static_cast<u16>(b->scales[0] >> 12 | (b->scales[1] >> 12) << 4 | (b->scales[2] >> 12) << 8 |
                          (b->scales[3] >> 12) << 12);
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq1_M* b, u32 i) {
  const u32 cell = i / 8, group = i / 16;
  const u32 high = b->high[cell / 2] >> cell % 2 * 4 & 15U;
  const u32 point = kIq1Grid[b->codes[cell] | (high & 7U) << 8];
  const u32 scale_code = b->scales[group / 4] >> group % 4 * 3 & 7U;
  const f32 scale = f16_bits_to_f32(scale_bits(b)) * static_cast<f32>(2 * scale_code + 1);
  return scale * (static_cast<f32>(iq1_level(point, i % 8)) + (high > 7 ? -0.125F : 0.125F));
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq1_M* b) {
  const GridSuperblock s = fit_iq1_m(x);
  *b = {.codes = {}, .high = {}, .scales = {}};
  for (u32 j = 0; j < 4; ++j) {
    u32 word = (s.d >> 4 * j & 15U) << 12;
    for (u32 k = 0; k < 4; ++k) word |= static_cast<u32>(s.scales[4 * j + k]) << 3 * k;
    b->scales[j] = static_cast<u16>(word);
  }
  for (u32 k = 0; k < 32; ++k) {
    const u32 point = s.cells[k].points[0], high = point >> 8 | (s.cells[k].down ? 8U : 0U);
    b->codes[k] = static_cast<u8>(point);
    b->high[k / 2] = static_cast<u8>(b->high[k / 2] | high << k % 2 * 4);
  }
}

struct Iq1_M {
  using Block = BlockIq1_M;
  static constexpr FormatInfo info = describe<Block>(
      "iq1_m", DType::iq1_m, Use::weight,
      "Byte k: bits 0-7 of the point of elements 8 k to 8 k + 7 in iq1_s's grid, k < 32. Byte 32 + j: of "
      "cells 2 j (low half) and 2 j + 1 (high half), bits 8-10 of the point, and in the highest bit whether "
      "the shift t is -0.125 and not 0.125, j < 16. Bytes 48 + 2 j and 49 + 2 j: a number of 16 bits; bits "
      "3 k to 3 k + 2: the scale s of the group of 16 elements 4 j + k, k < 4; bits 12-15: bits 4 j to 4 j + "
      "3 of the f16 d, j < 4. Value: d (2 s + 1) (level + t).");
};
#endif

}  // namespace formats
}  // namespace medlar
