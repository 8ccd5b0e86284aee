// IQ2_S: 256 magnitudes in cells of eight, each a point of a grid of 1024; a sign for each element, and a
// scale of four bits for each 16, which share an f16 factor.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq2_grids.h"
#include "formats/iq2_xs.h"
#include "formats/signs.h"

namespace medlar {
namespace formats {

struct BlockIq2_S {
  enum : u32 { kLength = 256, kGroup = 16 };
  u16 d;         // f16: factor of the scales
  u8 codes[32];  // bits 0-7 of the point of each eight elements
  u8 signs[32];  // of each eight elements
  u8 high[8];    // bits 8-9 of the points of cells 4 j to 4 j + 3, low bits first
  u8 scales[8];  // of groups 2 j (low half) and 2 j + 1
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq2_S* b, u32 i) {
  const u32 cell = i / 8;
  const u32 place = b->codes[cell] | (b->high[cell / 4] >> cell % 4 * 2 & 3U) << 8;
  return with_sign(
      iq2_scale(b->d, b->scales, i / 16) * static_cast<f32>(iq2_magnitude(kIq2SGrid[place], i % 8)),
      b->signs[cell], i % 8);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq2_S* b) {
  const GridSuperblock s = fit_iq2_s(x);
  *b = {.d = s.d, .codes = {}, .signs = {}, .high = {}, .scales = {}};
  for (u32 j = 0; j < 8; ++j) b->scales[j] = static_cast<u8>(s.scales[2 * j] | s.scales[2 * j + 1] << 4);
  for (u32 k = 0; k < 32; ++k) {
    const u32 point = s.cells[k].points[0];
    b->codes[k] = static_cast<u8>(point);
    b->signs[k] = s.cells[k].signs;
    b->high[k / 4] = static_cast<u8>(b->high[k / 4] | point >> 8 << k % 4 * 2);
  }
}

struct Iq2_S {
  using Block = BlockIq2_S;
  static constexpr FormatInfo info = describe<Block>(
      "iq2_s", DType::iq2_s, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + k: bits 0-7 of the point of elements 8 k to 8 k + 7 in the grid "
      "`kIq2SGrid` of formats/iq2_grids.h, k < 32. Byte 34 + k, bit j: whether element 8 k + j is negative. "
      "Byte 66 + j: bits 8-9 of the points of cells 4 j to 4 j + 3, low bits first, j < 8. Byte 74 + j: the "
      "scales s of groups of 16, 2 j (low half) and 2 j + 1 (high half). Value: d (0.5 + s) 0.25 magnitude, "
      "with that sign.");
};
#endif

}  // namespace formats
}  // namespace medlar
