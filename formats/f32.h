// F32: IEEE 754 single precision.
#pragma once

#include "formats/format.h"

namespace medlar {
namespace formats {

struct BlockF32 {
  enum : u32 { kLength = 1 };
  f32 value;
};

MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockF32* b, u32) { return b->value; }

MEDLAR_FN void encode(const MEDLAR_DEVICE f32* x, MEDLAR_DEVICE BlockF32* b) { b->value = x[0]; }

#ifdef MEDLAR_HOST
struct F32 {
  using Block = BlockF32;
  static constexpr FormatInfo info =
      describe<Block>("f32", DType::f32, Use::kv, "Bytes 0-3: the value, IEEE 754 single precision.");
};
#endif

}  // namespace formats
}  // namespace medlar
