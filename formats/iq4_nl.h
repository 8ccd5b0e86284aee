// IQ4_NL: a scale and 32 codes of four bits into a table whose steps grow away from zero.
#pragma once

#include "formats/code.h"
#include "formats/format.h"
#include "formats/superblock.h"

namespace medlar {
namespace formats {

MEDLAR_TABLE(i8, kIq4Values, 16) = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIq4_NL {
  enum : u32 { kLength = 32 };
  u16 d;  // f16
  u8 codes[16];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockIq4_NL* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(kIq4Values[nibble(b->codes, i)]);
}

#ifdef MEDLAR_HOST
inline constexpr Codebook kIq4Codebook{kIq4Values};

MEDLAR_FN void encode(const f32* x, BlockIq4_NL* b) {
  u8 codes[32];
  b->d = fit_block({x, 32}, kIq4Codebook, codes);
  for (u32 k = 0; k < 16; ++k) set_nibbles(b->codes, k, codes[k], codes[k + 16]);
}

struct Iq4_NL {
  using Block = BlockIq4_NL;
  static constexpr FormatInfo info = describe<Block>(
      "iq4_nl", DType::iq4_nl, Use::weight,
      "Bytes 0-1: f16 d. Byte 2 + k: the codes of elements k (low half) and k + 16 (high half), k < 16. "
      "Value: d table[code], with the table -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113.");
};
#endif

}  // namespace formats
}  // namespace medlar
