// Activations to int8: symmetric, codes in [-127, 127], scale = max|x| / 127. A block with a NaN or an
// infinity gets scale NaN, so that everything computed from it is NaN; one whose largest magnitude is below
// 1e-36, where 127 / max|x| would overflow, becomes zeros.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr float kTinyBlock = 1e-36f;

struct BlockScale {
  float scale, inverse;
};

// Over x[0, n); n a multiple of 16.
MEDLAR_INLINE BlockScale block_scale(const float* x, int n) {
  F top = splat(0.0f);
  F poison = splat(0.0f);
  for (int i = 0; i < n; i += kLanes) {
    const F v = load(x + i);
    top = larger(absolute(v), top);
    poison = fma(v, splat(0.0f), poison);  // NaN after a NaN or an infinity
  }
  const float amax = largest(top);
  const float nan_or_zero = sum(poison);
  if (nan_or_zero != nan_or_zero) return {nan_or_zero, 0.0f};
  if (amax < kTinyBlock) return {0.0f, 0.0f};
  return {amax / 127.0f, 127.0f / amax};
}

// Codes of 16 values; returns their sum.
MEDLAR_INLINE float quantize16(const float* x, float inverse, int8_t* q) {
  if (inverse == 0.0f) {  // x may hold a NaN
    memset(q, 0, 16);
    return 0.0f;
  }
  F total = splat(0.0f);
  for (int i = 0; i < 16; i += kLanes) {
    const F code = rounded(load(x + i) * splat(inverse));
    store_i8(q + i, code);
    total = total + code;
  }
  return sum(total);
}

MEDLAR_INLINE void quantize(const float* x, Q8x32* to) {  // 256 values
  for (int b = 0; b < 8; ++b) {
    const BlockScale s = block_scale(x + 32 * b, 32);
    const float low = quantize16(x + 32 * b, s.inverse, to->q + 32 * b);
    const float high = quantize16(x + 32 * b + 16, s.inverse, to->q + 32 * b + 16);
    to->scale[b] = s.scale;
    to->sum[b] = s.scale * (low + high);
  }
}

MEDLAR_INLINE void quantize(const float* x, Q8x256* to) {  // 256 values
  const BlockScale s = block_scale(x, 256);
  for (int b = 0; b < 8; ++b) {
    const float low = quantize16(x + 32 * b, s.inverse, to->q + 32 * b);
    const float high = quantize16(x + 32 * b + 16, s.inverse, to->q + 32 * b + 16);
    to->sum16[2 * b] = static_cast<int16_t>(low);
    to->sum16[2 * b + 1] = static_cast<int16_t>(high);
    to->sum32[b] = static_cast<int16_t>(low + high);
  }
  to->scale = s.scale;
}

}  // namespace medlar::kernels::MEDLAR_ISA
