// Encoders' search for blocks of 256 values -1, 0 or 1 with one scale.
#pragma once

#include "formats/portable.h"

#ifdef MEDLAR_HOST
namespace medlar::formats {

// x[i] ~ d * (codes[i] - 1)
struct TernaryBlock {
  u16 d;  // f16, NaN where a value is not finite
  u8 codes[256];
};

// The scale and the codes of the least sum of squared errors, but for the rounding of the scale.
TernaryBlock fit_ternary(const f32* x);

}  // namespace medlar::formats
#endif
