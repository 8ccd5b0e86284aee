// Operations on one element at a time: the slices share the elements evenly.
#include "kernels/cpu/math.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kGranule = 16;  // a cache line of floats: slices write no line in common

// y[i] = fn(a[i], b[i]) over the range.
template <class Fn>
MEDLAR_INLINE void map(Range range, const float* a, const float* b, float* y, Fn fn) {
  each(range, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    store(y + i, fn(load(a + i, lanes), load(b + i, lanes)), lanes);
  });
}

}  // namespace

void binary(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const BinaryArgs*>(args);
  const auto apply = [&](Range range, const float* x, const float* b, float* y) {
    if (a.op == BinaryOp::add) {
      map(range, x, b, y, [](F u, F v) { return u + v; });
    } else {
      map(range, x, b, y, [](F u, F v) { return u * v; });
    }
  };
  const int64_t rows = resolve(a.rows, step);
  if (!a.broadcast) return apply(share(rows * a.width, kGranule, slice), a.a, a.b, a.y);
  const Range columns = share(a.width, kGranule, slice);
  for (int64_t r = 0; r < rows; ++r) apply(columns, a.a + r * a.width, a.b, a.y + r * a.width);
}

void unary(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const UnaryArgs*>(args);
  const Range range = share(resolve(a.rows, step) * a.width, kGranule, slice);
  const F parameter = splat(a.parameter);
  switch (a.op) {
    case UnaryOp::scale:
      return map(range, a.x, a.x, a.y, [&](F x, F) { return parameter * x; });
    case UnaryOp::softcap:
      return map(range, a.x, a.x, a.y, [&](F x, F) { return parameter * hyperbolic_tangent(x / parameter); });
    case UnaryOp::silu:
      return map(range, a.x, a.x, a.y, [](F x, F) { return silu(x); });
    case UnaryOp::gelu:
      return map(range, a.x, a.x, a.y, [](F x, F) { return gelu(x); });
    case UnaryOp::relu_squared:
      return map(range, a.x, a.x, a.y,
                 [](F x, F) { return select_less(x, splat(0.0f), splat(0.0f), x * x); });
    case UnaryOp::sigmoid:
      return map(range, a.x, a.x, a.y, [](F x, F) { return times_sigmoid(splat(1.0f), x); });
    case UnaryOp::gelu_erf:
      return map(range, a.x, a.x, a.y, [](F x, F) { return gelu_erf(x); });
  }
}

void temperature(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const TemperatureArgs*>(args);
  const Range columns = share(a.width, kGranule, slice);
  for (int64_t t = 0; t < step.tokens; ++t) {
    const F by = splat(1.0f + a.beta * log1pf(static_cast<float>(step.positions[t] / a.length)));
    const float* x = a.x + t * a.width;
    map(columns, x, x, a.y + t * a.width, [&](F v, F) { return v * by; });
  }
}

// Slices share the rows.
void concat(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ConcatArgs*>(args);
  const Range mine = share(resolve(a.rows, step), 1, slice);
  for (int64_t r = mine.begin; r < mine.end; ++r) {
    float* y = a.y + r * (a.a_width + a.b_width);
    memcpy(y, a.a + r * a.a_width, static_cast<size_t>(a.a_width) * sizeof(float));
    memcpy(y + a.a_width, a.b + r * a.b_width, static_cast<size_t>(a.b_width) * sizeof(float));
  }
}

void gate(Activation activation, Range range, const float* gates, const float* up, float* y) {
  switch (activation) {
    case Activation::none:
      return map(range, gates, up, y, [](F g, F u) { return g * u; });
    case Activation::silu:
      return map(range, gates, up, y, [](F g, F u) { return silu(g) * u; });
    case Activation::gelu:
      return map(range, gates, up, y, [](F g, F u) { return gelu(g) * u; });
    case Activation::clamped_silu:
      return map(range, gates, up, y, [](F g, F u) { return clamped_silu(g, u); });
  }
}

void glu(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const GluArgs*>(args);
  gate(a.activation, share(resolve(a.rows, step) * a.width, kGranule, slice), a.gate, a.up, a.y);
}

}  // namespace medlar::kernels::MEDLAR_ISA
