// IQ2_XXS: 256 magnitudes in cells of eight, each a point of a grid of 256; seven signs of a cell, and four
// bits for the scale of each 32 elements, share a word.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq2_grids.h"
#include "formats/signs.h"

namespace medlar {
namespace formats {

struct BlockIq2_XXS {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d;          // f16: factor of the scales
  u16 codes[32];  // four for a group: four points of a byte, four times seven signs, four bits of scale
};

// The signs and the scale of a group of 32, from the lowest bits on.
MEDLAR_FN u32 signs_and_scale(const MEDLAR_DEVICE BlockIq2_XXS* b, u32 group) {
  return b->codes[group * 4 + 2] | static_cast<u32>(b->codes[group * 4 + 3]) << 16;
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq2_XXS* b, u32 i) {
  const u32 cell = i / 8;
  const u32 tail = signs_and_scale(b, cell / 4);
  const u32 point = kIq2XxsGrid[b->codes[cell / 4 * 4 + cell % 4 / 2] >> cell % 2 * 8 & 255U];
  const f32 scale = f16_bits_to_f32(b->d) * (0.5F + static_cast<f32>(tail >> 28)) * 0.25F;
  return with_sign(scale * static_cast<f32>(iq2_magnitude(point, i % 8)),
                   even_signs(tail >> cell % 4 * 7 & 127U), i % 8);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq2_XXS* b) {
  const GridSuperblock s = fit_iq2_xxs(x);
  *b = {.d = s.d, .codes = {}};
  for (u32 g = 0; g < 8; ++g) {
    u32 points = 0, tail = static_cast<u32>(s.scales[g]) << 28;
    for (u32 k = 0; k < 4; ++k) {
      const GridCell& cell = s.cells[g * 4 + k];
      points |= static_cast<u32>(cell.points[0]) << 8 * k;
      tail |= (cell.signs & 127U) << 7 * k;
    }
    u16* codes = b->codes + g * 4;
    codes[0] = static_cast<u16>(points), codes[1] = static_cast<u16>(points >> 16);
    codes[2] = static_cast<u16>(tail), codes[3] = static_cast<u16>(tail >> 16);
  }
}

struct Iq2_XXS {
  using Block = BlockIq2_XXS;
  static constexpr FormatInfo info = describe<Block>(
      "iq2_xxs", DType::iq2_xxs, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + 8 g + k: the point of elements 32 g + 8 k to 32 g + 8 k + 7 in the grid "
      "`kIq2XxsGrid` of formats/iq2_grids.h, whose magnitudes are 8, 25 or 43, g < 8, k < 4. Bytes 6 + 8 g "
      "to 9 + 8 g: a number of 32 bits; bits 7 k + j: whether element 32 g + 8 k + j is negative, j < 7, "
      "and element 32 g + 8 k + 7 is where that makes the negative ones of the eight even; bits 28-31: the "
      "scale s. Value: d (0.5 + s) 0.25 magnitude, with that sign.");
};
#endif

}  // namespace formats
}  // namespace medlar
