// A block's values between -1 and 1 and its weights up to 1, so that no sum of f32 overflows; and factors of
// scales as f16 in that measure.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/fit.h"

namespace medlar::quant {

// A factor as it is stored, and what it stands for in a normalised block.
struct Factor {
  u16 bits = 0;  // f16
  f32 value = 0;
};

template <u32 N>
struct Normalised {
  alignas(16) std::array<f32, N> x;
  alignas(16) std::array<f32, N> weight;
  f32 unit = 1;  // a power of two: the block's values over x

  explicit Normalised(Weighted block) {
    f32 peak = 0, heaviest = 0;
    for (u32 i = 0; i < N; ++i) {
      peak = std::max(peak, std::abs(block.x[i]));
      heaviest = std::max(heaviest, block.weight[i]);
    }
    // Values below 2^-120 are nothing beside the least f16.
    unit = std::ldexp(1.0F, peak == 0 ? 0 : std::max(-120, std::ilogb(peak) + 1));
    const f32 inverse = 1 / unit;
    const bool alike = heaviest < 1e-30F;
    const f32 lighten = alike ? 0 : 1 / heaviest;
    for (u32 i = 0; i < N; ++i) {
      x[i] = block.x[i] * inverse;
      weight[i] = alike ? 1 : block.weight[i] * lighten;
    }
  }

  Factor stored(u16 bits) const { return {bits, formats::f16_bits_to_f32(bits) / unit}; }
  // The f16 nearest to a value in the block's measure, finite.
  Factor nearest_factor(double v) const {
    const double real = std::clamp(v * static_cast<double>(unit), -65504.0, 65504.0);
    return stored(formats::f32_to_f16_bits(static_cast<f32>(real)));
  }
  // Where f16 is subnormal, the one next to it away from zero: the largest scale could else be out of reach.
  Factor outer_factor(double v) const {
    const Factor f = nearest_factor(v);
    const bool below = std::abs(static_cast<double>(f.value)) < std::abs(v) * (1 - 0x1p-10);
    return below && (f.bits & 0x7fffU) < 0x7bffU ? stored(static_cast<u16>(f.bits + 1)) : f;
  }
};

inline double inverse_of(double v) { return v == 0 ? 0 : 1 / v; }

inline i32 nearest_integer(double v, i32 first, i32 last) {
  return static_cast<i32>(std::floor(std::clamp<double>(v, first, last) + 0.5));
}

}  // namespace medlar::quant
