// Encoders' search: scales, minimums and codes that bring blocks with scaled groups close to given values, by
// the sum of squared errors. Each group gets the scale that suits it best; the scales are then rounded as the
// block stores them, and the values coded with what is stored. Values that are not finite make every factor
// NaN.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "formats/portable.h"

#ifdef MEDLAR_HOST
namespace medlar::formats {

inline constexpr u32 kSuperblock = 256;

// x[i] ~ d * scales[g] * codes[i] - dmin * mins[g] for element i of group g.
struct AffineSuperblock {
  u16 d, dmin;  // f16
  u8 scales[16];
  u8 mins[16];
  u8 codes[kSuperblock];
};

struct AffineShape {
  u32 group;      // elements
  u32 top_code;   // codes are 0..top_code
  u32 top_scale;  // scales and mins are 0..top_scale
};

AffineSuperblock fit_affine(const f32* x, const AffineShape& shape);

// The values that codes stand for: at most 64, ascending, within -127..127.
class Codebook {
 public:
  constexpr explicit Codebook(std::span<const i8> values) : last_(values.size() - 1) {
    std::ranges::copy(values, values_.begin());
    fill_nearest();
  }
  // first, first + 1, ... last
  constexpr Codebook(i8 first, i8 last) : last_(static_cast<std::size_t>(last - first)) {
    for (std::size_t code = 0; code <= last_; ++code)
      values_[code] = static_cast<i8>(first + static_cast<i32>(code));
    fill_nearest();
  }

  constexpr double operator[](std::size_t code) const { return values_[code]; }
  constexpr double front() const { return values_[0]; }
  constexpr double back() const { return values_[last_]; }
  constexpr double first_gap() const { return values_[1] - values_[0]; }

  // The code whose value is nearest to v.
  constexpr u8 nearest(double v) const {
    return nearest_[static_cast<std::size_t>(kHalf - std::clamp<double>(2 * v, 1 - kHalf, kHalf))];
  }

 private:
  // The border between the cells of two codes is half an integer, so doubled values between two integers
  // share their nearest code: cell c is for (kHalf - c - 1, kHalf - c].
  static constexpr i32 kHalf = 256;

  constexpr void fill_nearest() {
    std::size_t code = last_;
    for (i32 cell = 0; cell < 2 * kHalf; ++cell) {
      while (code > 0 && values_[code - 1] + values_[code] >= kHalf - cell) --code;
      nearest_[static_cast<std::size_t>(cell)] = static_cast<u8>(code);
    }
  }

  std::size_t last_;  // code
  std::array<i8, 64> values_{};
  std::array<u8, 2 * kHalf> nearest_{};
};

// x[i] ~ d * scales[g] * codebook[codes[i]] for element i of group g.
struct SymmetricSuperblock {
  u16 d;  // f16
  i8 scales[16];
  u8 codes[kSuperblock];
};

struct SymmetricShape {
  u32 group;  // elements
  i32 min_scale, max_scale;
  const Codebook& codebook;
};

SymmetricSuperblock fit_symmetric(const f32* x, const SymmetricShape& shape);

// x[i] ~ d * codebook[codes[i]] for a single group; gives d as f16.
u16 fit_block(std::span<const f32> x, const Codebook& codebook, std::span<u8> codes);

}  // namespace medlar::formats
#endif
