// Four f32 at a time, in words that every compiler turns into its vector instructions.
#pragma once

#include <cstring>

#include "formats/portable.h"

namespace medlar::quant {

using formats::f32;
using formats::u32;

using f32x4 = f32 __attribute__((vector_size(16)));
inline constexpr u32 kLanes = 4;

inline f32x4 load(const f32* from) {
  f32x4 v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline f32x4 all(f32 v) { return f32x4{v, v, v, v}; }
inline f32x4 least(f32x4 a, f32x4 b) { return a < b ? a : b; }
inline f32x4 most(f32x4 a, f32x4 b) { return a > b ? a : b; }
inline f32x4 clamp(f32x4 v, f32x4 low, f32x4 high) { return least(most(v, low), high); }

// To the nearest integer, for magnitudes below 2^22: there the unit in the last place of 1.5 x 2^23 + v is 1.
inline f32x4 nearest(f32x4 v) {
  const f32x4 magic = all(12582912.0F);
  return (v + magic) - magic;
}

inline double sum(f32x4 v) {
  return (static_cast<double>(v[0]) + static_cast<double>(v[1])) +
         (static_cast<double>(v[2]) + static_cast<double>(v[3]));
}

}  // namespace medlar::quant
