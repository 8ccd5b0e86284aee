// IQ2_XS: 256 magnitudes in cells of eight, each a point of a grid of 512 with seven signs; each 16 elements
// have a scale of four bits, which share an f16 factor.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq2_grids.h"
#include "formats/signs.h"

namespace medlar {
namespace formats {

struct BlockIq2_XS {
  enum : u32 { kLength = 256, kGroup = 16 };
  u16 d;          // f16: factor of the scales
  u16 codes[32];  // of each eight elements: point in bits 0-8, signs in bits 9-15
  u8 scales[8];   // of groups 2 j (low half) and 2 j + 1
};

// Of a group of 16, in the formats of two bits with four bits of scale each.
MEDLAR_FN f32 iq2_scale(u16 d, const MEDLAR_DEVICE u8* scales, u32 group) {
  return f16_bits_to_f32(d) * (0.5F + static_cast<f32>(scales[group / 2] >> group % 2 * 4 & 15U)) * 0.25F;
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq2_XS* b, u32 i) {
  const u32 code = b->codes[i / 8];
  return with_sign(
      iq2_scale(b->d, b->scales, i / 16) * static_cast<f32>(iq2_magnitude(kIq2XsGrid[code & 511U], i % 8)),
      even_signs(code >> 9), i % 8);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq2_XS* b) {
  const GridSuperblock s = fit_iq2_xs(x);
  *b = {.d = s.d, .codes = {}, .scales = {}};
  for (u32 j = 0; j < 8; ++j) b->scales[j] = static_cast<u8>(s.scales[2 * j] | s.scales[2 * j + 1] << 4);
  for (u32 k = 0; k < 32; ++k)
    b->codes[k] = static_cast<u16>(s.cells[k].points[0] | (s.cells[k].signs & 127U) << 9);
}

struct Iq2_XS {
  using Block = BlockIq2_XS;
  static constexpr FormatInfo info = describe<Block>(
      "iq2_xs", DType::iq2_xs, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2 + 2 k and 3 + 2 k: a number of 16 bits; bits 0-8: the point of elements 8 k "
      "to 8 k + 7 in the grid `kIq2XsGrid` of formats/iq2_grids.h, k < 32; bits 9-15: their signs, as in "
      "iq2_xxs. Byte 66 + j: the scales s of groups of 16, 2 j (low half) and 2 j + 1 (high half), j < 8. "
      "Value: d (0.5 + s) 0.25 magnitude, with that sign.");
};
#endif

}  // namespace formats
}  // namespace medlar
