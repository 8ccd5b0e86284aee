// Q5_1: a scale, a minimum and 32 codes of five bits.
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockQ5_1 {
  enum : u32 { kLength = 32 };
  u16 d, m;    // f16
  u8 high[4];  // bit 4 of each code
  u8 codes[16];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ5_1* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(five_bits(b->codes, b->high, i)) + f16_bits_to_f32(b->m);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockQ5_1* b) {
  const Range range = range_of(x, 32);
  const f32 d = (range.max - range.min) / 31;
  const f32 to_code = inverse(d);
  *b = {.d = f32_to_f16_bits(d), .m = f32_to_f16_bits(range.min), .high = {}, .codes = {}};
  for (u32 i = 0; i < 32; ++i)
    set_five_bits(b->codes, b->high, i, truncate_code((x[i] - range.min) * to_code + 0.5F, 31));
}

struct Q5_1 {
  using Block = BlockQ5_1;
  static constexpr FormatInfo info = describe<Block>(
      "q5_1", DType::q5_1, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-3: f16 m. Bytes 4-7: bit 4 of each code, element i in bit i % 8 of "
      "byte 4 + i / 8. Byte 8 + k: bits 0-3 of the codes of elements k (low half) and k + 16 (high "
      "half), k < 16. Value: d code + m.");
};
#endif

}  // namespace formats
}  // namespace medlar
