// Q4_1: a scale, a minimum and 32 codes of four bits.
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockQ4_1 {
  enum : u32 { kLength = 32 };
  u16 d, m;  // f16
  u8 codes[16];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ4_1* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(nibble(b->codes, i)) + f16_bits_to_f32(b->m);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockQ4_1* b) {
  const Range range = range_of(x, 32);
  const f32 d = (range.max - range.min) / 15;
  const f32 to_code = inverse(d);
  b->d = f32_to_f16_bits(d);
  b->m = f32_to_f16_bits(range.min);
  for (u32 k = 0; k < 16; ++k) {
    set_nibbles(b->codes, k, truncate_code((x[k] - range.min) * to_code + 0.5F, 15),
                truncate_code((x[k + 16] - range.min) * to_code + 0.5F, 15));
  }
}

struct Q4_1 {
  using Block = BlockQ4_1;
  static constexpr FormatInfo info = describe<Block>(
      "q4_1", DType::q4_1, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-3: f16 m. Byte 4 + k: the codes of elements k (low half) and k + 16 "
      "(high half), k < 16. Value: d code + m.");
};
#endif

}  // namespace formats
}  // namespace medlar
