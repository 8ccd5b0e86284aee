// The search for scales: a grid, then alternately codes for a scale and the best scale for codes.
#include "formats/superblock.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace medlar::formats {
namespace {

// Sums are double: squares of any f32 fit.
using Values = std::span<const f32>;

constexpr u16 kNan = 0x7e00;     // f16
constexpr int kRefinements = 8;  // few groups improve that often
constexpr u32 kMaxGroup = 32;    // elements
constexpr u32 kMaxGroups = 16;   // in a superblock

bool all_finite(Values x) {
  return std::ranges::all_of(x, [](f32 v) { return std::isfinite(v); });
}

double from_f16(u16 bits) { return f16_bits_to_f32(bits); }

// The f16 nearest to v, finite.
u16 to_f16(double v) { return f32_to_f16_bits(static_cast<f32>(std::clamp(v, -65504.0, 65504.0))); }

// The f16 next to v away from zero, finite. A factor of scales must not be rounded down: where f16 is
// subnormal, as for small weights, the largest scale could be out of reach by several percent.
u16 to_f16_away(double v) {
  const u16 bits = to_f16(v);
  const bool below = std::abs(from_f16(bits)) < std::min(std::abs(v), 65504.0);
  return below ? static_cast<u16>(bits + 1) : bits;
}

double inverse_of(double v) { return v == 0 ? 0 : 1 / v; }

// The integer nearest to v within first..last.
i32 nearest_integer(double v, i32 first, i32 last) {
  return static_cast<i32>(std::floor(std::clamp<double>(v, first, last) + 0.5));
}

// ---- x ~ scale * code - min, codes 0..top

struct Affine {
  double scale = 0, min = 0;
  double error = std::numeric_limits<double>::infinity();  // sum of squares
};

// Codes for a given scale and minimum, and their error.
double affine_codes(Values x, double scale, double min, u32 top, std::span<u8> codes) {
  const double to_code = inverse_of(scale);
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    codes[i] = static_cast<u8>(std::clamp((x[i] + min) * to_code + 0.5, 0.0, static_cast<double>(top)));
    const double e = scale * codes[i] - min - x[i];
    error += e * e;
  }
  return error;
}

// The best scale and minimum >= 0 for given codes.
Affine solve_affine(Values x, std::span<const u8> codes) {
  double c1 = 0, c2 = 0, x1 = 0, x2 = 0, cx = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double c = codes[i], v = x[i];
    c1 += c, c2 += c * c, x1 += v, x2 += v * v, cx += c * v;
  }
  const auto n = static_cast<double>(x.size());
  const double determinant = n * c2 - c1 * c1;
  Affine a;
  if (determinant > 0) {
    a.scale = (n * cx - c1 * x1) / determinant;
    a.min = (c1 * cx - c2 * x1) / determinant;
  }
  if (determinant <= 0 || a.min < 0) a = {.scale = cx * inverse_of(c2), .min = 0};
  if (a.scale < 0) a = {.scale = 0, .min = std::max(0.0, -x1 / n)};
  a.error = a.scale * a.scale * c2 + n * a.min * a.min + x2 - 2 * a.scale * a.min * c1 - 2 * a.scale * cx +
            2 * a.min * x1;
  return a;
}

Affine fit_affine_group(Values x, u32 top) {
  const auto [low, high] = std::ranges::minmax(x);
  const double min = -std::min(low, 0.0F);
  const double range = high + min;
  if (range <= 0) return {.scale = 0, .min = min, .error = 0};
  std::array<u8, kMaxGroup> storage;
  const std::span codes = std::span(storage).first(x.size());
  Affine best;
  const auto consider = [&](double scale, double minimum) {
    affine_codes(x, scale, minimum, top, codes);
    const Affine a = solve_affine(x, codes);
    const bool better = a.error < best.error;
    if (better) best = a;
    return better;
  };
  for (int step = -10; step <= 10; ++step) consider(range / (top + 0.1 * step), min);
  for (int i = 0; i < kRefinements && best.scale > 0; ++i)
    if (!consider(best.scale, best.min)) break;
  return best;
}

// ---- x ~ scale * codebook[code]

double symmetric_codes(Values x, double scale, const Codebook& book, std::span<u8> codes) {
  const double to_code = inverse_of(scale);
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    codes[i] = book.nearest(x[i] * to_code);
    const double e = scale * book[codes[i]] - x[i];
    error += e * e;
  }
  return error;
}

struct Symmetric {
  double scale = 0;
  double gain = -1;  // what the error is below that of all zeros
};

// The best scale for given codes.
Symmetric solve_symmetric(Values x, const Codebook& book, std::span<const u8> codes) {
  double c2 = 0, cx = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double c = book[codes[i]];
    c2 += c * c, cx += c * x[i];
  }
  const double scale = cx * inverse_of(c2);
  return {scale, scale * cx};
}

Symmetric fit_symmetric_group(Values x, const Codebook& book, std::span<u8> codes) {
  const double peak = *std::ranges::max_element(x, {}, [](f32 v) { return std::abs(v); });
  if (peak == 0) return {0, 0};
  Symmetric best;
  const auto consider = [&](double scale) {
    symmetric_codes(x, scale, book, codes);
    const Symmetric s = solve_symmetric(x, book, codes);
    const bool better = s.gain > best.gain;
    if (better) best = s;
    return better;
  };
  for (int step = -9; step <= 9; ++step) {
    const double beyond = 0.1 * step * book.first_gap();
    consider(peak / (book.front() - beyond));
    consider(peak / (book.back() + beyond));
  }
  for (int i = 0; i < kRefinements; ++i)
    if (!consider(best.scale)) break;
  return best;
}

}  // namespace

AffineSuperblock fit_affine(const f32* x, const AffineShape& shape) {
  AffineSuperblock s{};
  if (!all_finite({x, kSuperblock})) return s.d = s.dmin = kNan, s;
  const u32 groups = kSuperblock / shape.group;
  std::array<Affine, kMaxGroups> fits;
  double top_scale = 0, top_min = 0;
  for (u32 g = 0; g < groups; ++g) {
    fits[g] = fit_affine_group({x + g * shape.group, shape.group}, shape.top_code);
    top_scale = std::max(top_scale, fits[g].scale);
    top_min = std::max(top_min, fits[g].min);
  }
  s.d = to_f16_away(top_scale / shape.top_scale);
  s.dmin = to_f16_away(top_min / shape.top_scale);
  const double d = from_f16(s.d), dmin = from_f16(s.dmin);
  const auto top = static_cast<i32>(shape.top_scale);
  for (u32 g = 0; g < groups; ++g) {
    const Values group{x + g * shape.group, shape.group};
    const std::span codes{s.codes + g * shape.group, shape.group};
    s.scales[g] = static_cast<u8>(nearest_integer(fits[g].scale * inverse_of(d), 0, top));
    s.mins[g] = static_cast<u8>(nearest_integer(fits[g].min * inverse_of(dmin), 0, top));
    affine_codes(group, d * s.scales[g], dmin * s.mins[g], shape.top_code, codes);
  }
  return s;
}

SymmetricSuperblock fit_symmetric(const f32* x, const SymmetricShape& shape) {
  SymmetricSuperblock s{};
  if (!all_finite({x, kSuperblock})) return s.d = kNan, s;
  const Codebook& book = shape.codebook;
  const u32 groups = kSuperblock / shape.group;
  std::array<double, kMaxGroups> scales{};
  double peak = 0;
  for (u32 g = 0; g < groups; ++g) {
    const u32 from = g * shape.group;
    scales[g] = fit_symmetric_group({x + from, shape.group}, book, {s.codes + from, shape.group}).scale;
    if (std::abs(scales[g]) > std::abs(peak)) peak = scales[g];
  }
  s.d = to_f16_away(peak / shape.min_scale);
  const double d = from_f16(s.d);
  for (u32 g = 0; g < groups; ++g) {
    const u32 from = g * shape.group;
    s.scales[g] =
        static_cast<i8>(nearest_integer(scales[g] * inverse_of(d), shape.min_scale, shape.max_scale));
    symmetric_codes({x + from, shape.group}, d * s.scales[g], book, {s.codes + from, shape.group});
  }
  return s;
}

u16 fit_block(Values x, const Codebook& book, std::span<u8> codes) {
  std::ranges::fill(codes, u8{0});
  if (!all_finite(x)) return kNan;
  const u16 d = to_f16(fit_symmetric_group(x, book, codes).scale);
  symmetric_codes(x, from_f16(d), book, codes);
  return d;
}

}  // namespace medlar::formats
