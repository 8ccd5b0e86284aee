// F16: IEEE 754 half precision.
#pragma once

#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockF16 {
  enum : u32 { kLength = 1 };
  u16 bits;
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockF16* b, u32) { return f16_bits_to_f32(b->bits); }

MEDLAR_FN void encode(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE BlockF16* b) {
  b->bits = f32_to_f16_bits(x[0]);
}

#ifdef MEDLAR_HOST
struct F16 {
  using Block = BlockF16;
  static constexpr FormatInfo info =
      describe<Block>("f16", DType::f16, Use::kv, "Bytes 0-1: the value, IEEE 754 half precision.");
};
#endif

}  // namespace formats
}  // namespace medlar
