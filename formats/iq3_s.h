// IQ3_S: 256 magnitudes in cells of four, each a point of a grid of 512; a sign for each element, and a scale
// of four bits for each 32, which share an f16 factor.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq3_grids.h"
#include "formats/signs.h"

namespace medlar {
namespace formats {

struct BlockIq3_S {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d;         // f16: factor of the scales
  u8 codes[64];  // bits 0-7 of the point of each four elements
  u8 high[8];    // bit 8 of the points of cells 8 j to 8 j + 7
  u8 signs[32];  // of each eight elements
  u8 scales[4];  // of groups 2 j (low half) and 2 j + 1
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq3_S* b, u32 i) {
  const u32 cell = i / 4, group = i / 32;
  const u32 point = kIq3SGrid[b->codes[cell] | (b->high[group] >> cell % 8 & 1U) << 8];
  const u32 scale_code = b->scales[group / 2] >> group % 2 * 4 & 15U;
  return with_sign(f16_bits_to_f32(b->d) * static_cast<f32>(1 + 2 * scale_code) *
                       static_cast<f32>(iq3_s_level(iq3_code(point, i % 4))),
                   b->signs[i / 8], i % 8);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq3_S* b) {
  const GridSuperblock s = fit_iq3_s(x);
  *b = {.d = s.d, .codes = {}, .high = {}, .signs = {}, .scales = {}};
  for (u32 j = 0; j < 4; ++j) b->scales[j] = static_cast<u8>(s.scales[2 * j] | s.scales[2 * j + 1] << 4);
  for (u32 k = 0; k < 64; ++k) {
    const u32 point = s.cells[k / 2].points[k % 2];
    b->codes[k] = static_cast<u8>(point);
    b->high[k / 8] = static_cast<u8>(b->high[k / 8] | point >> 8 << k % 8);
    b->signs[k / 2] = s.cells[k / 2].signs;
  }
}

struct Iq3_S {
  using Block = BlockIq3_S;
  static constexpr FormatInfo info = describe<Block>(
      "iq3_s", DType::iq3_s, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + k: bits 0-7 of the point of elements 4 k to 4 k + 3 in the grid "
      "`kIq3SGrid` of formats/iq3_grids.h, whose magnitudes are 1, 3, 5, 7, 9, 11, 13 or 15, k < 64. Byte "
      "66 + j, bit i: bit 8 of the point of cell 8 j + i, j < 8. Byte 74 + k, bit j: whether element 8 k + "
      "j is negative, k < 32. Byte 106 + j: the scales s of groups of 32, 2 j (low half) and 2 j + 1 (high "
      "half), j < 4. Value: d (1 + 2 s) magnitude, with that sign.");
};
#endif

}  // namespace formats
}  // namespace medlar
