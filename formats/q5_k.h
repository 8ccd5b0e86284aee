// Q5_K: Q4_K with a fifth bit to each code.
#pragma once

#include "formats/format.h"
#include "formats/q4_k.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockQ5_K {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d, dmin;    // f16: factors of the scales and of the minimums
  u8 scales[12];  // as in Q4_K
  u8 high[32];    // bit 4 of the codes: element i in bit i / 32 of byte i % 32
  u8 codes[128];  // as in Q4_K
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ5_K* b, u32 i) {
  const u32 group = i / 32;
  const u32 low = b->codes[i / 64 * 32 + i % 32] >> group % 2 * 4 & 15U;
  const u32 high = b->high[i % 32] >> group & 1U;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(six_bit_scale(b->scales, group));
  const f32 min = f16_bits_to_f32(b->dmin) * static_cast<f32>(six_bit_min(b->scales, group));
  return scale * static_cast<f32>(low | high << 4) - min;
}

#ifdef MEDLAR_HOST
inline constexpr AffineShape kQ5_KShape{.group = BlockQ5_K::kGroup, .top_code = 31, .top_scale = 63};

MEDLAR_FN void pack(const AffineSuperblock& s, BlockQ5_K* b) {
  *b = {.d = s.d, .dmin = s.dmin, .scales = {}, .high = {}, .codes = {}};
  set_six_bit_scales(b->scales, s.scales, s.mins);
  for (u32 i = 0; i < 256; ++i) {
    u8& low = b->codes[i / 64 * 32 + i % 32];
    u8& high = b->high[i % 32];
    low = static_cast<u8>(low | (s.codes[i] & 15) << i / 32 % 2 * 4);
    high = static_cast<u8>(high | s.codes[i] >> 4 << i / 32);
  }
}

MEDLAR_FN void encode(const f32* x, BlockQ5_K* b) { pack(fit_affine(x, kQ5_KShape), b); }

struct Q5_K {
  using Block = BlockQ5_K;
  static constexpr FormatInfo info = describe<Block>(
      "q5_k", DType::q5_k, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-3: f16 dmin. Bytes 4-15: scales s and minimums m of 8 groups of 32 as "
      "in q4_k. Byte 16 + k: bit 4 of the codes of elements 32 g + k in bit g, k < 32, g < 8. Byte 48 + "
      "32 c + k: bits 0-3 of the codes of elements 64 c + k (low half) and 64 c + 32 + k (high half). "
      "Value: d s code - dmin m.");
};
#endif

}  // namespace formats
}  // namespace medlar
