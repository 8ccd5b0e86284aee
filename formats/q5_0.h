// Q5_0: a scale and 32 codes of five bits around zero.
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockQ5_0 {
  enum : u32 { kLength = 32 };
  u16 d;       // f16
  u8 high[4];  // bit 4 of each code
  u8 codes[16];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ5_0* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(five_bits(b->codes, b->high, i)) - 16);
}

#ifdef MEDLAR_HOST
// The value of greatest magnitude gets code -16.
MEDLAR_FN void encode(const f32* x, BlockQ5_0* b) {
  const f32 d = peak(x, 32) / -16;
  const f32 to_code = inverse(d);
  *b = {.d = f32_to_f16_bits(d), .high = {}, .codes = {}};
  for (u32 i = 0; i < 32; ++i) set_five_bits(b->codes, b->high, i, truncate_code(x[i] * to_code + 16.5F, 31));
}

struct Q5_0 {
  using Block = BlockQ5_0;
  static constexpr FormatInfo info = describe<Block>(
      "q5_0", DType::q5_0, Use::weight,
      "Bytes 0-1: f16 d. Bytes 2-5: bit 4 of each code, element i in bit i % 8 of byte 2 + i / 8. Byte "
      "6 + k: bits 0-3 of the codes of elements k (low half) and k + 16 (high half), k < 16. Value: d "
      "(code - 16).");
};
#endif

}  // namespace formats
}  // namespace medlar
