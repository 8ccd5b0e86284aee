// Q3_K: 256 codes of three bits around zero; each 16 have a signed scale of six bits, which share an f16
// factor.
#pragma once

#include "formats/format.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockQ3_K {
  enum : u32 { kLength = 256, kGroup = 16 };
  u8 high[32];   // bit 2 of the codes: element i in bit i / 32 of byte i % 32
  u8 codes[64];  // as in Q2_K
  u8 scales[12];
  u16 d;  // f16: factor of the scales
};

// Scale of a group, plus 32. Byte j < 8 holds bits 0-3 of groups j (low half) and j + 8; byte 8 + j % 4 holds
// bits 4-5 of groups j, j + 4, j + 8, j + 12, low bits first.
MEDLAR_FN u32 biased_scale(const MEDLAR_DEVICE BlockQ3_K* b, u32 group) {
  const u32 low = b->scales[group % 8] >> group / 8 * 4 & 15U;
  const u32 high = b->scales[8 + group % 4] >> group / 4 * 2 & 3U;
  return low | high << 4;
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ3_K* b, u32 i) {
  const u32 low = b->codes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3U;
  const u32 high = b->high[i % 32] >> i / 32 & 1U;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(biased_scale(b, i / 16)) - 32);
  return scale * static_cast<f32>(static_cast<i32>(low | high << 2) - 4);
}

#ifdef MEDLAR_HOST
inline constexpr Codebook kQ3Codebook{-4, 3};

inline constexpr SymmetricShape kQ3_KShape{
    .group = BlockQ3_K::kGroup, .min_scale = -32, .max_scale = 31, .codebook = kQ3Codebook};

MEDLAR_FN void pack(const SymmetricSuperblock& s, BlockQ3_K* b) {
  *b = {.high = {}, .codes = {}, .scales = {}, .d = s.d};
  for (u32 g = 0; g < 16; ++g) {
    const u32 biased = static_cast<u32>(s.scales[g] + 32);
    u8& low = b->scales[g % 8];
    u8& high = b->scales[8 + g % 4];
    low = static_cast<u8>(low | (biased & 15) << g / 8 * 4);
    high = static_cast<u8>(high | biased >> 4 << g / 4 * 2);
  }
  for (u32 i = 0; i < 256; ++i) {
    u8& low = b->codes[i / 128 * 32 + i % 32];
    u8& high = b->high[i % 32];
    low = static_cast<u8>(low | (s.codes[i] & 3) << i % 128 / 32 * 2);
    high = static_cast<u8>(high | s.codes[i] >> 2 << i / 32);
  }
}

MEDLAR_FN void encode(const f32* x, BlockQ3_K* b) { pack(fit_symmetric(x, kQ3_KShape), b); }

struct Q3_K {
  using Block = BlockQ3_K;
  static constexpr FormatInfo info = describe<Block>(
      "q3_k", DType::q3_k, Use::weight,
      "Byte k: bit 2 of the codes of elements 32 p + k in bit p, k < 32, p < 8. Byte 32 + 32 h + k: "
      "bits 0-1 of the codes of elements 128 h + 32 p + k in bits 2 p and 2 p + 1, p < 4. Bytes 96-107: "
      "six-bit scales s of 16 groups of 16; byte 96 + j: bits 0-3 of s[j] and s[j + 8], j < 8; byte 104 "
      "+ j: bits 4-5 of s[j], s[j + 4], s[j + 8] and s[j + 12], low bits first, j < 4. Bytes 108-109: "
      "f16 d. Value: d (s - 32) (code - 4).");
};
#endif

}  // namespace formats
}  // namespace medlar
