// Q2_K: 256 codes of two bits; each 16 have a scale and a minimum of four bits, which share two f16 factors.
#pragma once

#include "formats/format.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockQ2_K {
  enum : u32 { kLength = 256, kGroup = 16 };
  u8 scales[16];  // of 16 groups: scale in the low half, minimum in the high half
  u8 codes[64];
  u16 d, dmin;  // f16: factors of the scales and of the minimums
};

// Byte 32 h + k holds elements 128 h + 32 s + k in bits 2 s and 2 s + 1.
MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ2_K* b, u32 i) {
  const u32 packed = b->scales[i / 16];
  const u32 code = b->codes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3U;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(packed & 15U);
  const f32 min = f16_bits_to_f32(b->dmin) * static_cast<f32>(packed >> 4);
  return scale * static_cast<f32>(code) - min;
}

#ifdef MEDLAR_HOST
inline constexpr AffineShape kQ2_KShape{.group = BlockQ2_K::kGroup, .top_code = 3, .top_scale = 15};

MEDLAR_FN void pack(const AffineSuperblock& s, BlockQ2_K* b) {
  *b = {.scales = {}, .codes = {}, .d = s.d, .dmin = s.dmin};
  for (u32 g = 0; g < 16; ++g) b->scales[g] = static_cast<u8>(s.scales[g] | s.mins[g] << 4);
  for (u32 i = 0; i < 256; ++i) {
    u8& four = b->codes[i / 128 * 32 + i % 32];
    four = static_cast<u8>(four | s.codes[i] << i % 128 / 32 * 2);
  }
}

MEDLAR_FN void encode(const f32* x, BlockQ2_K* b) { pack(fit_affine(x, kQ2_KShape), b); }

struct Q2_K {
  using Block = BlockQ2_K;
  static constexpr FormatInfo info = describe<Block>(
      "q2_k", DType::q2_k, Use::weight,
      "Byte j: the four-bit scale s (low half) and minimum m (high half) of the group of 16 elements "
      "from 16 j, j < 16. Byte 16 + 32 h + k: the codes of elements 128 h + 32 p + k in bits 2 p and 2 "
      "p + 1, k < 32, p < 4. Bytes 80-81: f16 d. Bytes 82-83: f16 dmin. Value: d s code - dmin m.");
};
#endif

}  // namespace formats
}  // namespace medlar
