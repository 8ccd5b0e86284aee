// Signs that blocks hold apart from magnitudes, a bit each: set where an element is negative.
#pragma once

#include "formats/portable.h"

namespace medlar {
namespace formats {

// The signs of eight elements of which an even number is negative, from those of the first seven.
MEDLAR_FN u32 even_signs(u32 seven) {
  const u32 four = seven ^ seven >> 4;
  return seven | (0x6996U >> (four & 15U) & 1U) << 7;  // bit i: whether i has an odd number of ones
}

// v, with its sign changed where bit i of `signs` is set.
MEDLAR_FN f32 with_sign(f32 v, u32 signs, u32 i) { return bits_f32(bits_u32(v) ^ (signs >> i & 1U) << 31); }

}  // namespace formats
}  // namespace medlar
