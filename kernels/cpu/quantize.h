// Activations to int8: symmetric, codes in [-127, 127], scale = max|x| / 127 without the outlier. A block
// with a NaN or an infinity gets scale NaN, so that everything computed from it is NaN; one whose largest
// magnitude is below 1e-36, where 127 / max|x| would overflow, becomes zeros.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr float kTinyBlock = 1e-36f;

// The largest magnitude of 32 values and the sum of their squares: infinite or NaN where a value is.
struct BlockSize {
  float top, energy;
  bool finite() const { return top < INFINITY && energy == energy; }
};

MEDLAR_INLINE BlockSize block_size(const float* x) {
  F top = splat(0.0f), energy = splat(0.0f);
  for (int i = 0; i < kActBlock; i += kLanes) {
    const F v = load(x + i);
    top = larger(absolute(v), top);  // without NaN
    energy = fma(v, v, energy);
  }
  return {largest(top), sum(energy)};
}

struct BlockScale {
  float scale, inverse;
};

MEDLAR_INLINE BlockScale block_scale(BlockSize size) {
  if (!size.finite()) return {NAN, 0.0f};
  if (size.top < kTinyBlock) return {0.0f, 0.0f};
  return {size.top / 127.0f, 127.0f / size.top};
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

// The place of the outlier among x[0, 32), or -1.
MEDLAR_INLINE int find_outlier(const float* x, BlockSize size) {
  if (!(size.top * size.top > kOutlierShare * size.energy)) return -1;
  int at = 0;
  while (at < kActBlock - 1 && x[at] != size.top && x[at] != -size.top) ++at;
  return at;
}

// 256 values, whose outliers become 0.
MEDLAR_INLINE void quantize(float* x, Q8Group* to) {
  to->outliers = 0;
  for (int b = 0; b < 8; ++b) {
    float* block = x + kActBlock * b;
    BlockSize size = block_size(block);
    const int at = find_outlier(block, size);
    float apart[2] = {0.0f, 0.0f};  // the outlier, in its half of the block
    to->outlier[b] = at < 0 ? 0.0f : block[at];
    to->at[b] = static_cast<uint8_t>(at < 0 ? 0 : at);
    if (at >= 0) {
      to->outliers = static_cast<uint8_t>(to->outliers | 1 << b);
      apart[at / 16] = block[at];
      block[at] = 0.0f;
      size = block_size(block);
    }
    const BlockScale s = block_scale(size);
    to->scale[b] = s.scale;
    for (int half = 0; half < 2; ++half) {
      const float codes = quantize16(block + 16 * half, s.inverse, to->q + kActBlock * b + 16 * half);
      to->half_sum[2 * b + half] = s.scale * codes + apart[half];
    }
    to->sum[b] = to->half_sum[2 * b] + to->half_sum[2 * b + 1];
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
