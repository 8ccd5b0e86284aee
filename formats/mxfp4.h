// MXFP4: a power of two and 32 floating-point codes of four bits (OCP Microscaling Formats 1.0: E8M0 and
// E2M1).
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

// Twice the value of each E2M1 code.
MEDLAR_TABLE(i8, kMxfp4Values, 16) = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct BlockMxfp4 {
  enum : u32 { kLength = 32 };
  u8 exponent;  // E8M0
  u8 codes[16];
};

// 2^(exponent - 128): half the scale, as the table holds doubled values. 255 is no NaN here but 2^127.
MEDLAR_FN f32 half_scale(u32 exponent) {
  return bits_f32(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23);
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockMxfp4* b, u32 i) {
  return half_scale(b->exponent) * static_cast<f32>(kMxfp4Values[nibble(b->codes, i)]);
}

#ifdef MEDLAR_HOST
// The code whose value is nearest to v, the first among equals.
MEDLAR_FN u32 nearest_e2m1(f32 half, f32 v) {
  u32 best = 0;
  f32 best_error = magnitude(v);
  for (u32 code = 1; code < 16; ++code) {
    const f32 error = magnitude(half * static_cast<f32>(kMxfp4Values[code]) - v);
    if (error < best_error) best = code, best_error = error;
  }
  return best;
}

// The scale is the one that OCP prescribes: the power of two of the greatest magnitude over that of the
// greatest code, 6. So magnitudes above 6 scales, up to 8, are cut to 6.
MEDLAR_FN void encode(const f32* x, BlockMxfp4* b) {
  const u32 exponent = bits_u32(peak(x, 32)) >> 23 & 255;
  const bool finite = exponent != 255;
  b->exponent = static_cast<u8>(!finite ? 255 : exponent < 2 ? 0 : exponent - 2);
  const f32 half = half_scale(b->exponent);
  for (u32 k = 0; k < 16; ++k) {
    // Code 7 under exponent 255 is infinite.
    set_nibbles(b->codes, k, finite ? nearest_e2m1(half, x[k]) : 7,
                finite ? nearest_e2m1(half, x[k + 16]) : 7);
  }
}

struct Mxfp4 {
  using Block = BlockMxfp4;
  static constexpr FormatInfo info = describe<Block>(
      "mxfp4", DType::mxfp4, Use::weight,
      "Byte 0: e, the exponent E8M0. Byte 1 + k: the codes E2M1 of elements k (low half) and k + 16 "
      "(high half), k < 16. Value: 2^(e - 127) table[code], with the table 0 0.5 1 1.5 2 3 4 6 and its "
      "negatives. e = 255, which OCP calls NaN, is no exception here.");
};
#endif

}  // namespace formats
}  // namespace medlar
