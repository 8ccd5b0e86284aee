// TQ2_0: 256 values -1, 0 or 1 in two bits each, and an f16 scale.
#pragma once

#include "formats/format.h"
#include "formats/ternary.h"

namespace medlar {
namespace formats {

struct BlockTq2_0 {
  enum : u32 { kLength = 256 };
  u8 codes[64];  // as in Q2_K
  u16 d;         // f16
};

// Byte 32 h + k holds elements 128 h + 32 p + k, plus 1, in bits 2 p and 2 p + 1.
MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockTq2_0* b, u32 i) {
  const u32 code = b->codes[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3U;
  return f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(code) - 1);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockTq2_0* b) {
  const TernaryBlock t = fit_ternary(x);
  *b = {.codes = {}, .d = t.d};
  for (u32 i = 0; i < 256; ++i) {
    u8& four = b->codes[i / 128 * 32 + i % 32];
    four = static_cast<u8>(four | t.codes[i] << i % 128 / 32 * 2);
  }
}

struct Tq2_0 {
  using Block = BlockTq2_0;
  static constexpr FormatInfo info = describe<Block>(
      "tq2_0", DType::tq2_0, Use::weight,
      "Byte 32 h + k: the codes of elements 128 h + 32 p + k in bits 2 p and 2 p + 1, k < 32, "
      "h < 2, p < 4. Bytes 64-65: f16 d. Value: d (code - 1).");
};
#endif

}  // namespace formats
}  // namespace medlar
