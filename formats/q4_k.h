// Q4_K: 256 codes of four bits; each 32 have a scale and a minimum of six bits, which share two f16 factors.
#pragma once

#include "formats/format.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockQ4_K {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d, dmin;    // f16: factors of the scales and of the minimums
  u8 scales[12];  // of 8 groups: see six_bit_scale
  u8 codes[128];
};

// Eight scales s and eight minimums m in 12 bytes, for j < 4:
//   byte j:      bits 0-5 of s[j]; bits 4-5 of s[j + 4] above them
//   byte 4 + j:  bits 0-5 of m[j]; bits 4-5 of m[j + 4] above them
//   byte 8 + j:  bits 0-3 of s[j + 4]; bits 0-3 of m[j + 4] above them
MEDLAR_FN u32 six_bit_scale(const MEDLAR_DEVICE u8* scales, u32 group) {
  if (group < 4) return scales[group] & 63U;
  return (scales[group + 4] & 15U) | (scales[group - 4] >> 6 << 4);
}

MEDLAR_FN u32 six_bit_min(const MEDLAR_DEVICE u8* scales, u32 group) {
  if (group < 4) return scales[group + 4] & 63U;
  return (scales[group + 4] >> 4) | (scales[group] >> 6 << 4);
}

// Byte 32 c + k holds elements 64 c + k (low half) and 64 c + 32 + k.
MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ4_K* b, u32 i) {
  const u32 group = i / 32;
  const u32 code = b->codes[i / 64 * 32 + i % 32] >> group % 2 * 4 & 15U;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(six_bit_scale(b->scales, group));
  const f32 min = f16_bits_to_f32(b->dmin) * static_cast<f32>(six_bit_min(b->scales, group));
  return scale * static_cast<f32>(code) - min;
}

#ifdef MEDLAR_HOST
MEDLAR_FN void set_six_bit_scales(u8* packed, const u8* scales, const u8* mins) {
  for (u32 j = 0; j < 4; ++j) {
    packed[j] = static_cast<u8>(scales[j] | scales[j + 4] >> 4 << 6);
    packed[j + 4] = static_cast<u8>(mins[j] | mins[j + 4] >> 4 << 6);
    packed[j + 8] = static_cast<u8>((scales[j + 4] & 15) | (mins[j + 4] & 15) << 4);
  }
}

inline constexpr AffineShape kQ4_KShape{.group = BlockQ4_K::kGroup, .top_code = 15, .top_scale = 63};

MEDLAR_FN void pack(const AffineSuperblock& s, BlockQ4_K* b) {
  b->d = s.d, b->dmin = s.dmin;
  set_six_bit_scales(b->scales, s.scales, s.mins);
  for (u32 k = 0; k < 128; ++k) {
    const u8* pair = s.codes + k / 32 * 64 + k % 32;
    b->codes[k] = static_cast<u8>(pair[0] | pair[32] << 4);
  }
}

MEDLAR_FN void encode(const f32* x, BlockQ4_K* b) { pack(fit_affine(x, kQ4_KShape), b); }

struct Q4_K {
  using Block = BlockQ4_K;
  static constexpr FormatInfo info = describe<Block>(
      "q4_k", DType::q4_k, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-3: f16 dmin. Bytes 4-15: six-bit scales s and minimums m of 8 groups "
      "of 32; byte 4 + j: bits 0-5 of s[j], bits 4-5 of s[j + 4]; byte 8 + j: bits 0-5 of m[j], bits "
      "4-5 of m[j + 4]; byte 12 + j: bits 0-3 of s[j + 4], bits 0-3 of m[j + 4], low bits first, j < 4. "
      "Byte 16 + 32 c + k: the codes of elements 64 c + k (low half) and 64 c + 32 + k (high half), k < "
      "32. Value: d s code - dmin m.");
};
#endif

}  // namespace formats
}  // namespace medlar
