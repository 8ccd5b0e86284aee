// IQ3_XXS: 256 magnitudes in cells of four, each a point of a grid of 256; seven signs of eight elements, and
// four bits for the scale of each 32, share a word.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq3_grids.h"
#include "formats/signs.h"

namespace medlar {
namespace formats {

struct BlockIq3_XXS {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d;          // f16: factor of the scales
  u8 codes[64];   // the point of each four elements
  u16 tails[16];  // two for a group: four times seven signs, four bits of scale
};

// The signs and the scale of a group of 32, from the lowest bits on.
MEDLAR_FN u32 signs_and_scale(const MEDLAR_DEVICE BlockIq3_XXS* b, u32 group) {
  return b->tails[group * 2] | static_cast<u32>(b->tails[group * 2 + 1]) << 16;
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq3_XXS* b, u32 i) {
  const u32 tail = signs_and_scale(b, i / 32);
  const u32 point = kIq3XxsGrid[b->codes[i / 4]];
  const f32 scale = f16_bits_to_f32(b->d) * (0.5F + static_cast<f32>(tail >> 28)) * 0.5F;
  return with_sign(scale * static_cast<f32>(iq3_xxs_level(iq3_code(point, i % 4))),
                   even_signs(tail >> i % 32 / 8 * 7 & 127U), i % 8);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq3_XXS* b) {
  const GridSuperblock s = fit_iq3_xxs(x);
  *b = {.d = s.d, .codes = {}, .tails = {}};
  for (u32 g = 0; g < 8; ++g) {
    u32 tail = static_cast<u32>(s.scales[g]) << 28;
    for (u32 k = 0; k < 4; ++k) {
      const GridCell& cell = s.cells[g * 4 + k];
      for (u32 p = 0; p < 2; ++p) b->codes[g * 8 + k * 2 + p] = static_cast<u8>(cell.points[p]);
      tail |= (cell.signs & 127U) << 7 * k;
    }
    b->tails[g * 2] = static_cast<u16>(tail), b->tails[g * 2 + 1] = static_cast<u16>(tail >> 16);
  }
}

struct Iq3_XXS {
  using Block = BlockIq3_XXS;
  static constexpr FormatInfo info = describe<Block>(
      "iq3_xxs", DType::iq3_xxs, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + k: the point of elements 4 k to 4 k + 3 in the grid `kIq3XxsGrid` of "
      "formats/iq3_grids.h, whose magnitudes are 4, 12, 20, 28, 36, 44, 52 or 62, k < 64. Bytes 66 + 4 g to "
      "69 + 4 g: a number of 32 bits with the signs and the scale s of elements 32 g to 32 g + 31, as in "
      "iq2_xxs, g < 8. Value: d (0.5 + s) 0.5 magnitude, with that sign.");
};
#endif

}  // namespace formats
}  // namespace medlar
