// Q4_0: a scale and 32 codes of four bits around zero.
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockQ4_0 {
  enum : u32 { kLength = 32 };
  u16 d;  // f16
  u8 codes[16];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ4_0* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(nibble(b->codes, i)) - 8);
}

// The value of greatest magnitude gets code -8, so the scale's sign is opposite to its own.
MEDLAR_FN void encode(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE BlockQ4_0* b) {
  const f32 d = peak(x, 32) / -8;
  const f32 to_code = inverse(d);
  b->d = f32_to_f16_bits(d);
  for (u32 k = 0; k < 16; ++k) {
    set_nibbles(b->codes, k, truncate_code(x[k] * to_code + 8.5F, 15),
                truncate_code(x[k + 16] * to_code + 8.5F, 15));
  }
}

#ifdef MEDLAR_HOST
struct Q4_0 {
  using Block = BlockQ4_0;
  static constexpr FormatInfo info = describe<Block>(
      "q4_0", DType::q4_0, Use::kv,
      "Bytes 0-1: f16 d. Byte 2 + k: the codes of elements k (low half) and k + 16 (high half), k < 16. "
      "Value: d (code - 8).");
};
#endif

}  // namespace formats
}  // namespace medlar
