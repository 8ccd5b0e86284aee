// The best ternary block: the k greatest magnitudes become their mean, for the k that explains most.
#include "formats/ternary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <span>

namespace medlar::formats {

TernaryBlock fit_ternary(const f32* x) {
  constexpr u16 kNan = 0x7e00;
  TernaryBlock t{.d = 0, .codes = {}};
  std::array<double, 256> sorted;
  std::ranges::transform(std::span(x, 256), sorted.begin(), [](f32 v) { return std::abs(v); });
  if (!std::ranges::all_of(sorted, [](double v) { return std::isfinite(v); })) return t.d = kNan, t;
  std::ranges::sort(sorted, std::greater());
  // With scale d for k values of sum s the error is the sum of squares less 2 d s - k d^2, which d = s / k
  // makes s^2 / k.
  double sum = 0, gain = 0, scale = 0;
  for (std::size_t k = 0; k < sorted.size(); ++k) {
    sum += sorted[k];
    const double mean = sum / static_cast<double>(k + 1);
    if (mean * sum > gain) gain = mean * sum, scale = mean;
  }
  t.d = f32_to_f16_bits(static_cast<f32>(std::min(scale, 65504.0)));
  const double half = 0.5 * static_cast<double>(f16_bits_to_f32(t.d));
  for (u32 i = 0; i < 256; ++i)
    t.codes[i] = static_cast<u8>(half == 0 ? 1 : x[i] > half ? 2 : x[i] < -half ? 0 : 1);
  return t;
}

}  // namespace medlar::formats
