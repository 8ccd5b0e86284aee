// BF16: the upper half of an IEEE 754 single.
#pragma once

#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockBf16 {
  enum : u32 { kLength = 1 };
  u16 bits;
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockBf16* b, u32) { return bf16_bits_to_f32(b->bits); }

MEDLAR_FN void encode(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE BlockBf16* b) {
  b->bits = f32_to_bf16_bits(x[0]);
}

#ifdef MEDLAR_HOST
struct Bf16 {
  using Block = BlockBf16;
  static constexpr FormatInfo info = describe<Block>(
      "bf16", DType::bf16, Use::kv, "Bytes 0-1: the upper half of the value in IEEE 754 single precision.");
};
#endif

}  // namespace formats
}  // namespace medlar
