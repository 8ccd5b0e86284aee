// Products with quantized activations in plain C++: weights are decoded 256 values at a time and multiplied
// with the codes. Portable and right on every processor, slow on all.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/types.h"

namespace medlar::kernels::scalar {

namespace {

// w[0, n) times a group of codes.
float dot_group(const float* w, const Q8x32& x, int64_t n) {
  float total = 0;
  for (int64_t b = 0; b < n; b += 32) {
    float block = 0;
    for (int64_t i = b; i < b + 32 && i < n; ++i) block += w[i] * static_cast<float>(x.q[i]);
    total += block * x.scale[b / 32];
  }
  return total;
}

float dot_group(const float* w, const Q8x256& x, int64_t n) {
  float total = 0;
  for (int64_t i = 0; i < n; ++i) total += w[i] * static_cast<float>(x.q[i]);
  return total * x.scale;
}

}  // namespace

template <class Group>
void dot_decoded(DType type, const RowsDot& a) {
  float w[kActGroup];
  const int64_t x_groups = (a.k + kActGroup - 1) / kActGroup;
  const auto* x = reinterpret_cast<const Group*>(a.x);
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

void dot_q8(DType type, const RowsDot& a) {
  act_kind(type) == ActKind::q8_32 ? dot_decoded<Q8x32>(type, a) : dot_decoded<Q8x256>(type, a);
}

size_t dot_q8_scratch() { return 0; }

}  // namespace medlar::kernels::scalar
