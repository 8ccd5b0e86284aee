// Root mean square normalisation (Zhang & Sennrich 2019), and that of the layer (Ba et al. 2016).
#include <cmath>
#include <vector>

#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {

void normalize(const float* x, const float* weight, std::int64_t dim, float eps, float* y) {
  double squares = 0;
  for (std::int64_t i = 0; i < dim; ++i) squares += static_cast<double>(x[i]) * x[i];
  const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + eps);
  for (std::int64_t i = 0; i < dim; ++i)
    y[i] = static_cast<float>(x[i] * scale * (weight ? weight[i] : 1.0f));
}

void rms_norm(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RmsNormArgs*>(args);
  if (slice.index != 0) return;
  std::vector<float> normed(static_cast<std::size_t>(a.dim));
  for (std::int64_t v = 0; v < resolve(a.rows, step) * a.per_row; ++v) {
    normalize(a.x + v * a.dim, a.weight, a.dim, a.eps, normed.data());
    for (std::int64_t i = 0; i < a.dim; ++i) {
      a.y[v * a.dim + i] =
          (a.residual ? a.residual[v * a.dim + i] : 0.0f) + normed[static_cast<std::size_t>(i)];
    }
  }
}

void layer_norm(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LayerNormArgs*>(args);
  if (slice.index != 0) return;
  const auto dim = static_cast<double>(a.dim);
  for (std::int64_t r = 0; r < resolve(a.rows, step); ++r) {
    const float* x = a.x + r * a.dim;
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < a.dim; ++i) sum += x[i];
    for (std::int64_t i = 0; i < a.dim; ++i) squares += (x[i] - sum / dim) * (x[i] - sum / dim);
    const double scale = 1 / std::sqrt(squares / dim + a.eps);
    for (std::int64_t i = 0; i < a.dim; ++i)
      a.y[r * a.dim + i] =
          static_cast<float>((x[i] - sum / dim) * scale * a.weight[i] + (a.bias ? a.bias[i] : 0.0F));
  }
}

}  // namespace medlar::kernels::ref
