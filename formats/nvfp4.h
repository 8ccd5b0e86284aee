// NVFP4: 64 floating-point codes of four bits (E2M1); each 16 have a scale of eight bits, a floating-point
// number without a sign (E4M3).
#pragma once

#include "formats/format.h"
#include "formats/mxfp4.h"

namespace medlar {
namespace formats {

struct BlockNvfp4 {
  enum : u32 { kLength = 64, kGroup = 16 };
  u8 scales[4];  // E4M3
  u8 codes[32];  // byte 8 g + k: elements 16 g + k (low half) and 16 g + 8 + k (high half)
};

// Half of an E4M3 number, as the table holds doubled values. Its sign is passed over; 0x7f, which is NaN
// elsewhere, is 0 here, and 0xff is 480.
MEDLAR_FN f32 half_e4m3(u32 bits) {
  const u32 exponent = bits >> 3 & 15U, fraction = bits & 7U;
  if (bits == 0x7f) return 0;
  if (exponent == 0) return static_cast<f32>(fraction) * bits_f32(117U << 23);  // 2^-10
  return bits_f32((exponent + 119) << 23 | fraction << 20);
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockNvfp4* b, u32 i) {
  const u32 group = i / 16;
  const u32 code = b->codes[group * 8 + i % 8] >> i % 16 / 8 * 4 & 15U;
  return half_e4m3(b->scales[group]) * static_cast<f32>(kMxfp4Values[code]);
}

#ifdef MEDLAR_HOST
// Codes for a given scale; gives the sum of squared errors.
MEDLAR_FN double nvfp4_codes(const f32* x, u32 scale, u8* codes) {
  const f32 half = half_e4m3(scale);
  double error = 0;
  for (u32 i = 0; i < 16; ++i) {
    const u32 code = nearest_e2m1(half, x[i]);
    const double e = static_cast<double>(half) * kMxfp4Values[code] - static_cast<double>(x[i]);
    codes[i] = static_cast<u8>(code);
    error += e * e;
  }
  return error;
}

// Of the 126 scales the one with the least error. Those that put the greatest magnitude below 3.5 need no
// look where half of the scale exists, which has all the values that matter; nor those that put it above 11,
// where twice the scale is off by less than cutting it to 6 is. There is no number that is not finite: where
// x has one, it is as if it were the greatest.
MEDLAR_FN void encode_nvfp4_group(const f32* x, u8* scale, u8* codes) {
  f32 finite[16];
  f32 top = 0;
  for (u32 i = 0; i < 16; ++i) {
    constexpr f32 kGreatest = 448.0F * 6;
    const bool in_range = magnitude(x[i]) < kGreatest;  // false for NaN
    finite[i] = in_range ? x[i] : x[i] < 0 ? -kGreatest : kGreatest;
    top = magnitude(finite[i]) > top ? magnitude(finite[i]) : top;
  }
  double best = -1;
  u8 candidate[16];
  for (u32 bits = 0; bits < 0x7f; ++bits) {
    const f32 value = 2 * half_e4m3(bits);
    const bool half_exists = bits >= 16, twice_exists = bits < 0x77;
    if ((half_exists && value * 3.5F > top) || (twice_exists && value * 11 < top)) continue;
    const double error = nvfp4_codes(finite, bits, candidate);
    if (best >= 0 && error >= best) continue;
    best = error, *scale = static_cast<u8>(bits);
    for (u32 i = 0; i < 16; ++i) codes[i] = candidate[i];
  }
}

MEDLAR_FN void encode(const f32* x, BlockNvfp4* b) {
  for (u32 g = 0; g < 4; ++g) {
    u8 codes[16] = {};
    encode_nvfp4_group(x + 16 * g, &b->scales[g], codes);
    for (u32 k = 0; k < 8; ++k) set_nibbles(b->codes + 8 * g, k, codes[k], codes[8 + k]);
  }
}

struct Nvfp4 {
  using Block = BlockNvfp4;
  static constexpr FormatInfo info = describe<Block>(
      "nvfp4", DType::nvfp4, Use::weight,
      "Byte g: the scale E4M3 of elements 16 g to 16 g + 15, g < 4, whose sign bit is passed over. Byte 4 + "
      "8 g + k: the codes E2M1 of elements 16 g + k (low half) and 16 g + 8 + k (high half), k < 8. Value: "
      "scale table[code], with mxfp4's table. The scale 0x7f, which is NaN elsewhere, is 0 here, so that no "
      "block has a value that is not finite.");
};
#endif

}  // namespace formats
}  // namespace medlar
