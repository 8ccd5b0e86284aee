// IQ4_XS: 256 codes into IQ4_NL's table; each 32 have a signed scale of six bits, which share an f16 factor.
#pragma once

#include "formats/format.h"
#include "formats/iq4_nl.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

struct BlockIq4_XS {
  enum : u32 { kLength = 256, kGroup = 32 };
  u16 d;             // f16: factor of the scales
  u16 high_scales;   // bits 4-5 of the scale of group g in bits 2 g and 2 g + 1
  u8 low_scales[4];  // bits 0-3 of the scales of groups 2 j (low half) and 2 j + 1
  u8 codes[128];     // byte 16 g + k: elements 32 g + k (low half) and 32 g + 16 + k
};

// Scale of a group, plus 32.
MEDLAR_FN u32 biased_scale(const MEDLAR_DEVICE BlockIq4_XS* b, u32 group) {
  return (b->low_scales[group / 2] >> group % 2 * 4 & 15U) | (b->high_scales >> group * 2 & 3U) << 4;
}

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq4_XS* b, u32 i) {
  const u32 group = i / 32;
  const f32 scale = f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(biased_scale(b, group)) - 32);
  return scale * static_cast<f32>(kIq4Values[nibble(b->codes + group * 16, i % 32)]);
}

#ifdef MEDLAR_HOST
inline constexpr SymmetricShape kIq4_XSShape{
    .group = BlockIq4_XS::kGroup, .min_scale = -32, .max_scale = 31, .codebook = kIq4Codebook};

MEDLAR_FN void pack(const SymmetricSuperblock& s, BlockIq4_XS* b) {
  *b = {.d = s.d, .high_scales = 0, .low_scales = {}, .codes = {}};
  for (u32 g = 0; g < 8; ++g) {
    const u32 biased = static_cast<u32>(s.scales[g] + 32);
    u8& low = b->low_scales[g / 2];
    low = static_cast<u8>(low | (biased & 15) << g % 2 * 4);
    b->high_scales = static_cast<u16>(b->high_scales | biased >> 4 << g * 2);
    const u8* codes = s.codes + g * 32;
    for (u32 k = 0; k < 16; ++k) set_nibbles(b->codes + g * 16, k, codes[k], codes[k + 16]);
  }
}

MEDLAR_FN void encode(const f32* x, BlockIq4_XS* b) { pack(fit_symmetric(x, kIq4_XSShape), b); }

struct Iq4_XS {
  using Block = BlockIq4_XS;
  static constexpr FormatInfo info = describe<Block>(
      "iq4_xs", DType::iq4_xs, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-3: bits 4-5 of the six-bit scales s of 8 groups of 32, low bits first. "
      "Byte 4 + j: bits 0-3 of s[2 j] (low half) and s[2 j + 1] (high half), j < 4. Byte 8 + 16 g + k: "
      "the codes of elements 32 g + k (low half) and 32 g + 16 + k (high half), k < 16. Value: d (s - "
      "32) table[code], with iq4_nl's table.");
};
#endif

}  // namespace formats
}  // namespace medlar
