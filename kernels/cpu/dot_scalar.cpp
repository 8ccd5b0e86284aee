// Products with quantized activations in plain C++: weights are decoded 256 values at a time and multiplied
// with the codes. Portable and right on every processor, slow on all.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/types.h"

namespace medlar::kernels::scalar {

namespace {

// w[0, n) times a group of codes and its outliers.
float dot_group(const float* w, const Q8Group& x, int64_t n) {
  float total = 0;
  for (int64_t b = 0; b * kActBlock < n; ++b) {
    float block = 0;
    for (int64_t i = b * kActBlock; i < least(n, (b + 1) * kActBlock); ++i)
      block += w[i] * static_cast<float>(x.q[i]);
    total += block * x.scale[b];
    if (x.outliers >> b & 1) total += w[b * kActBlock + x.at[b]] * x.outlier[b];
  }
  return total;
}

}  // namespace

void dot_q8(DType type, const RowsDot& a) {
  float w[kActGroup];
  const int64_t x_groups = (a.k + kActGroup - 1) / kActGroup;
  const auto* x = reinterpret_cast<const Q8Group*>(a.x);
  for (int64_t j = 0; j < a.n; ++j) {
    for (int64_t m = 0; m < a.rows; ++m) a.y[m * a.ldy + j] = 0;
    for (int64_t g = 0; g < x_groups; ++g) {
      const int64_t k = g * kActGroup;
      const int64_t n = least(kActGroup, a.k - k);
      decode_values(type, a.weight + j * a.row_bytes + stored_bytes(type, k), w, n);
      for (int64_t m = 0; m < a.rows; ++m) a.y[m * a.ldy + j] += dot_group(w, x[m * x_groups + g], n);
    }
  }
}

size_t dot_q8_scratch() { return 0; }

}  // namespace medlar::kernels::scalar
