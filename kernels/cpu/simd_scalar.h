// The vector vocabulary with vectors of one float: what every processor runs.
#pragma once

namespace medlar::kernels::MEDLAR_ISA {

using F = float;
using I = int32_t;
inline constexpr int kLanes = 1;
inline constexpr int kTileRows = 4;  // register tile of matmul.h
inline constexpr int kTileVectors = 4;

struct Full {};

MEDLAR_INLINE F load(const float* p, Full = {}) { return *p; }
MEDLAR_INLINE F load(const float* p, Some) { return *p; }
MEDLAR_INLINE void store(float* p, F v, Full = {}) { *p = v; }
MEDLAR_INLINE void store(float* p, F v, Some) { *p = v; }
MEDLAR_INLINE F splat(float v) { return v; }
MEDLAR_INLINE F fma(F a, F b, F c) { return a * b + c; }
MEDLAR_INLINE F fnma(F a, F b, F c) { return c - a * b; }
MEDLAR_INLINE F larger(F a, F b) { return a > b ? a : b; }   // b where either is NaN
MEDLAR_INLINE F smaller(F a, F b) { return a < b ? a : b; }  // b where either is NaN
MEDLAR_INLINE F absolute(F v) { return v < 0 ? -v : v; }
MEDLAR_INLINE float sum(F v) { return v; }
MEDLAR_INLINE float lane0(F v) { return v; }
MEDLAR_INLINE void transpose(F (&)[kLanes]) {}
MEDLAR_INLINE float largest(F v) { return v; }
MEDLAR_INLINE F select_less(F a, F b, F yes, F no) { return a < b ? yes : no; }
// yes where bit `kBit` is set.
template <int kBit>
MEDLAR_INLINE F select_bit(I v, F yes, F no) {
  return (v >> kBit & 1) != 0 ? yes : no;
}
MEDLAR_INLINE F rounded(F v) { return rintf(v); }
MEDLAR_INLINE I to_int(F v) { return static_cast<I>(v); }
MEDLAR_INLINE F to_float(I v) { return static_cast<F>(v); }
MEDLAR_INLINE I splat_int(int32_t v) { return v; }
MEDLAR_INLINE I add_int(I a, I b) { return a + b; }
// v * 2^n for whole n in [-252, 252], with the hardware's overflow and underflow.
MEDLAR_INLINE F times_power_of_two(F v, F n) { return ldexpf(v, static_cast<int>(n)); }

// kLanes codes, rounded to nearest (ties to even) and saturated to int8.
MEDLAR_INLINE void store_i8(int8_t* p, F v) {
  const float r = rintf(v);
  *p = static_cast<int8_t>(r > 127 ? 127 : r > -128 ? r : -128);
}

}  // namespace medlar::kernels::MEDLAR_ISA
