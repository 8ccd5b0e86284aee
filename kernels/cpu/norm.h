// Root mean square normalisation of one vector (Zhang & Sennrich 2019).
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

// 1 / sqrt(mean(x^2) + eps). Sums run in float over 4 kLanes accumulators.
MEDLAR_INLINE float inverse_rms(const float* x, int64_t dim, float eps) {
  F s0 = splat(0.0f), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * kLanes <= dim; i += 4 * kLanes) {
    const F a = load(x + i), b = load(x + i + kLanes), c = load(x + i + 2 * kLanes),
            d = load(x + i + 3 * kLanes);
    s0 = fma(a, a, s0);
    s1 = fma(b, b, s1);
    s2 = fma(c, c, s2);
    s3 = fma(d, d, s3);
  }
  each({i, dim}, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
    const F v = load(x + j, lanes);
    s0 = fma(v, v, s0);
  });
  const float squares = sum((s0 + s1) + (s2 + s3));
  return 1.0f / sqrtf(squares / static_cast<float>(dim) + eps);
}

// y = x * scale * weight over the range; weight may be null.
MEDLAR_INLINE void scale_by(Range range, const float* x, float scale, const float* weight, float* y) {
  const F s = splat(scale);
  each(range, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    const F v = load(x + i, lanes) * s;
    store(y + i, weight ? v * load(weight + i, lanes) : v, lanes);
  });
}

}  // namespace medlar::kernels::MEDLAR_ISA
