// Q6_K: 256 codes of six bits around zero; each 16 have a signed scale of eight bits, which share an f16
// factor.
#pragma once

#include "formats/format.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockQ6_K {
  enum : u32 { kLength = 256, kGroup = 16 };
  u8 codes[128];  // bits 0-3
  u8 high[64];    // bits 4-5
  i8 scales[16];
  u16 d;  // f16: factor of the scales
};

// In each half of 128: codes byte k holds elements k (low half) and k + 64; high byte k holds elements k, k +
// 32, k + 64 and k + 96, low bits first.
MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ6_K* b, u32 i) {
  const u32 low = b->codes[i / 128 * 64 + i % 64] >> i % 128 / 64 * 4 & 15U;
  const u32 high = b->high[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3U;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(b->scales[i / 16]);
  return scale * static_cast<f32>(static_cast<i32>(low | high << 4) - 32);
}

#ifdef MEDLAR_HOST
inline constexpr Codebook kQ6Codebook{-32, 31};

inline constexpr SymmetricShape kQ6_KShape{
    .group = BlockQ6_K::kGroup, .min_scale = -128, .max_scale = 127, .codebook = kQ6Codebook};

MEDLAR_FN void pack(const SymmetricSuperblock& s, BlockQ6_K* b) {
  *b = {.codes = {}, .high = {}, .scales = {}, .d = s.d};
  for (u32 g = 0; g < 16; ++g) b->scales[g] = static_cast<i8>(s.scales[g]);
  for (u32 i = 0; i < 256; ++i) {
    u8& low = b->codes[i / 128 * 64 + i % 64];
    u8& high = b->high[i / 128 * 32 + i % 32];
    low = static_cast<u8>(low | (s.codes[i] & 15) << i % 128 / 64 * 4);
    high = static_cast<u8>(high | s.codes[i] >> 4 << i % 128 / 32 * 2);
  }
}

MEDLAR_FN void encode(const f32* x, BlockQ6_K* b) { pack(fit_symmetric(x, kQ6_KShape), b); }

struct Q6_K {
  using Block = BlockQ6_K;
  static constexpr FormatInfo info = describe<Block>(
      "q6_k", DType::q6_k, Use::weight,
      "Byte 64 h + k: bits 0-3 of the codes of elements 128 h + k (low half) and 128 h + 64 + k (high "
      "half), h < 2, k < 64. Byte 128 + 32 h + k: bits 4-5 of the codes of elements 128 h + 32 p + k in "
      "bits 2 p and 2 p + 1, k < 32, p < 4. Byte 192 + j: the scale s of the group of 16 elements from "
      "16 j, a signed byte, j < 16. Bytes 208-209: f16 d. Value: d s (code - 32).");
};
#endif

}  // namespace formats
}  // namespace medlar
