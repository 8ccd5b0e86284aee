// Rotary position embedding (Su et al. 2021).
#include <cmath>

#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {

void rotate(const RopeArgs& a, std::int64_t position, const float* x, float* y) {
  for (std::int64_t i = 0; i < a.head_dim; ++i)
    if (i < a.first || i >= a.first + a.rope_dim) y[i] = x[i];
  x += a.first, y += a.first;
  const std::int64_t half = a.rope_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const float angle =
        static_cast<float>(position) * a.inv_freq[i];  // rounded to float, as models are trained
    const double c = std::cos(static_cast<double>(angle)) * a.magnitude;
    const double s = std::sin(static_cast<double>(angle)) * a.magnitude;
    const std::int64_t first = a.style == RopeStyle::adjacent ? 2 * i : i;
    const std::int64_t second = a.style == RopeStyle::adjacent ? 2 * i + 1 : i + half;
    const double x0 = x[first];
    const double x1 = x[second];
    y[first] = static_cast<float>(x0 * c - x1 * s);
    y[second] = static_cast<float>(x0 * s + x1 * c);
  }
}

void rope(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RopeArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const std::int64_t at = (t * a.heads + h) * a.head_dim;
      rotate(a, step.positions[t], a.x + at, a.y + at);
    }
  }
}

}  // namespace medlar::kernels::ref
