// Products of activations with weight matrices, one dot product at a time.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "formats/all.h"
#include "kernels/ref/ref_ops.h"
#include "kernels/table.h"

namespace medlar::kernels::ref {

namespace {

template <DType kType>
void typed_rows_dot(const RowsDot& a) {
  std::vector<float> w(static_cast<std::size_t>(a.k));
  const std::size_t x_bytes = act_bytes(ActKind::f32, a.k);
  for (std::int64_t j = 0; j < a.n; ++j) {
    formats::decode_row(kType, a.weight + j * a.row_bytes, w.data(), a.k);
    for (std::int64_t m = 0; m < a.rows; ++m) {
      const auto* x = reinterpret_cast<const float*>(a.x + static_cast<std::size_t>(m) * x_bytes);
      double sum = 0;
      for (std::size_t i = 0; i < w.size(); ++i) sum += static_cast<double>(w[i]) * x[i];
      a.y[m * a.ldy + j] = static_cast<float>(sum);
    }
  }
}

// Element j of row m of one product, with its bias.
float product(const LinearArgs& a, const LinearOut& out, std::int64_t m, std::int64_t j) {
  const auto row_bytes = static_cast<std::int64_t>(formats::row_bytes(out.type, a.k));
  float y = 0;
  out.dot({.weight = static_cast<const std::byte*>(out.weight) + j * row_bytes,
           .row_bytes = row_bytes,
           .n = 1,
           .k = a.k,
           .x = a.x + static_cast<std::size_t>(m) * act_bytes(a.kind, a.k),
           .rows = 1,
           .y = &y,
           .ldy = 1,
           .scratch = {}});
  return out.bias ? y + out.bias[j] : y;
}

}  // namespace

RowsDotFn rows_dot(DType weight) {
  return formats::visit(weight,
                        []<formats::Format F>(F) -> RowsDotFn { return &typed_rows_dot<F::info.type>; });
}

void prepare(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const PrepareArgs*>(args);
  if (slice.index != 0) return;
  MEDLAR_ASSERT(a.kind == ActKind::f32);
  const std::size_t y_bytes = act_bytes(a.kind, a.width);
  for (std::int64_t m = 0; m < resolve(a.rows, step) * a.per_row; ++m) {
    const float* x = a.x + m * a.width;
    std::byte* row = a.y + static_cast<std::size_t>(m) * y_bytes;
    std::memset(row, 0, y_bytes);
    if (a.norm) {
      normalize(x, a.norm_weight, a.width, a.eps, reinterpret_cast<float*>(row));
    } else {
      std::memcpy(row, x, static_cast<std::size_t>(a.width) * sizeof(float));
    }
  }
}

void linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const LinearArgs*>(args);
  if (slice.index != 0) return;
  const bool has_gate = a.glu != Activation::none;
  for (int o = 0; o < (has_gate ? 1 : a.outs); ++o) {
    const LinearOut& out = a.out[o];
    for (std::int64_t m = 0; m < resolve(a.rows, step); ++m) {
      for (std::int64_t j = 0; j < out.n; ++j) {
        float y = product(a, out, m, j);
        if (has_gate) y = static_cast<float>(gated(a.glu, y, product(a, a.out[1], m, j)));
        out.y[m * out.n + j] = out.residual ? out.residual[m * out.n + j] + y : y;
      }
    }
  }
}

void head_linear(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const HeadLinearArgs*>(args);
  if (slice.index != 0) return;
  const auto row_bytes = static_cast<std::int64_t>(formats::row_bytes(a.type, a.k));
  std::vector<float> w(static_cast<std::size_t>(a.k));
  for (std::int64_t i = 0; i < resolve(a.rows, step) * a.heads; ++i) {
    const float* x = a.x + i * (a.k + a.rest);
    float* y = a.y + i * (a.n + a.rest);
    for (std::int64_t j = 0; j < a.n; ++j) {
      const std::int64_t row = i % a.heads * a.n + j;
      formats::decode_row(a.type, static_cast<const std::byte*>(a.weight) + row * row_bytes, w.data(), a.k);
      double sum = 0;
      for (std::size_t c = 0; c < w.size(); ++c) sum += static_cast<double>(w[c]) * x[c];
      y[j] = static_cast<float>(sum);
    }
    std::copy_n(x + a.k, a.rest, y + a.n);
  }
}

}  // namespace medlar::kernels::ref
