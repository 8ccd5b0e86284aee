// IQ1_S: 256 values -1, 0 or 1 in cells of eight, each a point of a grid of 2048; each 32 elements have a
// scale of three bits, which share an f16 factor, and are all moved up or down by an eighth.
#pragma once

#include "formats/format.h"
#include "formats/grid_fit.h"
#include "formats/iq1_grid.h"

namespace medlar {
namespace formats {

struct BlockIq1_S {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d;         // f16: factor of the scales
  u8 codes[32];  // bits 0-7 of the point of each eight elements
  u16 high[8];   // of a group: bits 8-10 of its four points, three bits of scale, whether it is moved down
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq1_S* b, u32 i) {
  const u32 cell = i / 8, high = b->high[i / 32];
  const u32 point = kIq1Grid[b->codes[cell] | (high >> cell % 4 * 3 & 7U) << 8];
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(2 * (high >> 12 & 7U) + 1);
  return scale * (static_cast<f32>(iq1_level(point, i % 8)) + (high >> 15 != 0 ? -0.125F : 0.125F));
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockIq1_S* b) {
  const GridSuperblock s = fit_iq1_s(x);
  *b = {.d = s.d, .codes = {}, .high = {}};
  for (u32 g = 0; g < 8; ++g) {
    const GridCell* cells = s.cells + g * 4;
    u32 high = static_cast<u32>(s.scales[g]) << 12 | (cells[0].down ? 1U : 0U) << 15;
    for (u32 k = 0; k < 4; ++k) {
      b->codes[g * 4 + k] = static_cast<u8>(cells[k].points[0]);
      high |= static_cast<u32>(cells[k].points[0]) >> 8 << 3 * k;
    }
    b->high[g] = static_cast<u16>(high);
  }
}

struct Iq1_S {
  using Block = BlockIq1_S;
  static constexpr FormatInfo info = describe<Block>(
      "iq1_s", DType::iq1_s, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + k: bits 0-7 of the point of elements 8 k to 8 k + 7 in the grid `kIq1Grid` "
      "of formats/iq1_grid.h, k < 32. Bytes 34 + 2 g and 35 + 2 g: a number of 16 bits; bits 3 k to 3 k + 2: "
      "bits 8-10 of the point of cell 4 g + k, k < 4; bits 12-14: the scale s of elements 32 g to 32 g + 31; "
      "bit 15: whether their shift t is -0.125 and not 0.125. Value: d (2 s + 1) (level + t).");
};
#endif

}  // namespace formats
}  // namespace medlar
