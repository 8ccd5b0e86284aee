// Q8_0: a scale and 32 codes of eight bits.
#pragma once

#include "formats/code.h"
#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockQ8_0 {
  enum : u32 { kLength = 32 };
  u16 d;  // f16
  i8 codes[32];
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockQ8_0* b, u32 i) {
  return f16_bits_to_f32(b->d) * static_cast<f32>(b->codes[i]);
}

MEDLAR_FN void encode(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE BlockQ8_0* b) {
  const f32 d = magnitude(peak(x, 32)) / 127;
  const f32 to_code = inverse(d);
  b->d = f32_to_f16_bits(d);
  for (u32 i = 0; i < 32; ++i) b->codes[i] = static_cast<i8>(round_code(x[i] * to_code, 127));
}

#ifdef MEDLAR_HOST
struct Q8_0 {
  using Block = BlockQ8_0;
  static constexpr FormatInfo info =
      describe<Block>("q8_0", DType::q8_0, Use::kv,
                      "Bytes 0-1: f16 d. Byte 2 + i: the code of element i, a signed byte. Value: d code.");
};
#endif

}  // namespace formats
}  // namespace medlar
