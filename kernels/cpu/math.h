// Functions of one variable on vectors. Polynomials are our own weighted minimax fits (Lawson's iteration);
// each comment states the error against the exact value, in units of the last place (ulp) of the result.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

// e^x, 1.5 ulp where the result is normal; inf above 88.73, 0 below -104; NaN stays NaN.
MEDLAR_INLINE F exponential(F x) {
  x = smaller(splat(128.0f), larger(splat(-128.0f), x));  // keeps n small; NaN passes both
  const F n = rounded(x * splat(0x1.715476p+0f));         // log2(e)
  F r = fma(n, splat(-0x1.62ep-1f), x);                   // ln 2, high part: the product is exact
  r = fma(n, splat(-0x1.0bfbe8p-15f), r);
  F p = splat(0.001381454f);
  p = fma(p, r, splat(0.008368745f));
  p = fma(p, r, splat(0.04166839f));
  p = fma(p, r, splat(0.16666521f));
  p = fma(p, r, splat(0.49999994f));
  p = fma(p * r, r, r) + splat(1.0f);
  return times_power_of_two(p, n);
}

// x / (1 + e^-u): 4 ulp of x sigmoid(u), where e^-u is finite; 0 beyond.
MEDLAR_INLINE F times_sigmoid(F x, F u) { return x / (splat(1.0f) + exponential(splat(0.0f) - u)); }

MEDLAR_INLINE F silu(F x) { return times_sigmoid(x, x); }

// The tanh approximation: x/2 (1 + tanh u) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3). The
// rounding of 2u, which grows to 88 before the result vanishes, is the largest error: 2^-24 * 2u of the
// result.
MEDLAR_INLINE F gelu(F x) {
  const F u = x * fma(x * x, splat(0.0713548162726f), splat(1.59576912161f));
  return times_sigmoid(x, u);
}

// x times the normal distribution below x, to 2^-22 |x|; 1 - erf by 7.1.26 of Abramowitz & Stegun (1964).
MEDLAR_INLINE F gelu_erf(F x) {
  const F z = absolute(x) * splat(0.70710678f);
  const F t = splat(1.0f) / fma(z, splat(0.3275911f), splat(1.0f));
  F p = splat(1.061405429f);
  p = fma(p, t, splat(-1.453152027f));
  p = fma(p, t, splat(1.421413741f));
  p = fma(p, t, splat(-0.284496736f));
  p = fma(p, t, splat(0.254829592f));
  const F beyond = splat(0.5f) * p * t * exponential(splat(0.0f) - z * z);
  return x * select_less(x, splat(0.0f), beyond, splat(1.0f) - beyond);
}

// g sigmoid(1.702 g) (u + 1) of a gate and a factor that are clamped (kernels/args.h: Activation).
MEDLAR_INLINE F clamped_silu(F gate, F up) {
  const F limit = splat(kClampedLimit);
  const F g = smaller(limit, gate), u = larger(splat(-kClampedLimit), smaller(limit, up));
  return times_sigmoid(g, g * splat(kClampedSlope)) * (u + splat(1.0f));
}

// 3 ulp. Near 0 an odd polynomial, elsewhere 1 - 2 / (e^2x + 1).
MEDLAR_INLINE F hyperbolic_tangent(F x) {
  const F z = x * x;
  F p = splat(-0.005717045f);
  p = fma(p, z, splat(0.020650588f));
  p = fma(p, z, splat(-0.053743497f));
  p = fma(p, z, splat(0.13331491f));
  p = fma(p, z, splat(-0.33333284f));
  const F near = fma(p * z, x, x);
  const F far = splat(1.0f) - splat(2.0f) / (exponential(x + x) + splat(1.0f));
  return select_less(absolute(x), splat(0.625f), near, far);
}

struct SinCos {
  F sin, cos;
};

// Both to 2^-23 absolute for |x| < 2^17: enough for every position. Cody & Waite's reduction in three parts.
MEDLAR_INLINE SinCos sin_cos(F x) {
#if defined(MEDLAR_ISA_SCALAR)
  return {static_cast<float>(sin(static_cast<double>(x))), static_cast<float>(cos(static_cast<double>(x)))};
#else
  const F n = rounded(x * splat(0x1.45f306p-1f));  // 2/pi
  F r = fma(n, splat(-0x1.921fb6p+0f), x);
  r = fma(n, splat(0x1.777a5cp-25f), r);
  r = fma(n, splat(0x1.ee59dap-50f), r);
  const F z = r * r;
  F s = fma(splat(-0.00019516978f), z, splat(0.008332176f));
  s = fma(s, z, splat(-0.16666655f));
  s = fma(s * z, r, r);
  F c = fma(splat(2.4438092e-05f), z, splat(-0.0013887364f));
  c = fma(c, z, splat(0.041666646f));
  c = fma(c * z, z, fma(splat(-0.5f), z, splat(1.0f)));
  const I quadrant = to_int(n);
  const F sine = select_bit<0>(quadrant, c, s);
  const F cosine = select_bit<0>(quadrant, s, c);
  const F zero = splat(0.0f);
  return {select_bit<1>(quadrant, zero - sine, sine),
          select_bit<1>(add_int(quadrant, splat_int(1)), zero - cosine, cosine)};
#endif
}

}  // namespace medlar::kernels::MEDLAR_ISA
