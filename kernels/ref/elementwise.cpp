// Operations on one element at a time.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double silu(double x) { return x * sigmoid(x); }

// x/2 (1 + tanh u) with u = sqrt(2/pi) (x + 0.044715 x^3) (Hendrycks & Gimpel 2016); (1 + tanh u) / 2 is
// sigmoid(2u).
double gelu(double x) {
  return x * sigmoid(2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x));
}

double gelu_erf(double x) { return x / 2 * std::erfc(-x / std::numbers::sqrt2); }

double apply(UnaryOp op, double parameter, double x) {
  switch (op) {
    case UnaryOp::scale:
      return parameter * x;
    case UnaryOp::softcap:
      return parameter * std::tanh(x / parameter);
    case UnaryOp::silu:
      return silu(x);
    case UnaryOp::gelu:
      return gelu(x);
    case UnaryOp::sigmoid:
      return sigmoid(x);
    case UnaryOp::gelu_erf:
      return gelu_erf(x);
    case UnaryOp::relu_squared:
      return x < 0 ? 0 : x * x;
  }
  return x;
}

}  // namespace

double gated(Activation activation, double gate, double up) {
  switch (activation) {
    case Activation::none:
      return gate * up;
    case Activation::silu:
      return silu(gate) * up;
    case Activation::gelu:
      return gelu(gate) * up;
    case Activation::clamped_silu: {
      const double limit = kClampedLimit, g = gate > limit ? limit : gate;
      return g * sigmoid(kClampedSlope * g) * (up < -limit ? 1 - limit : up > limit ? 1 + limit : 1 + up);
    }
  }
  return gate;
}

void binary(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const BinaryArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t i = 0; i < resolve(a.rows, step) * a.width; ++i) {
    const float b = a.b[a.broadcast ? i % a.width : i];
    a.y[i] = a.op == BinaryOp::add ? a.a[i] + b : a.a[i] * b;
  }
}

void unary(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const UnaryArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t i = 0; i < resolve(a.rows, step) * a.width; ++i) {
    a.y[i] = static_cast<float>(apply(a.op, a.parameter, a.x[i]));
  }
}

void temperature(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const TemperatureArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    const double by = 1 + a.beta * std::log1p(static_cast<double>(step.positions[t] / a.length));
    for (std::int64_t i = t * a.width; i < (t + 1) * a.width; ++i) a.y[i] = static_cast<float>(a.x[i] * by);
  }
}

void concat(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ConcatArgs*>(args);
  if (slice.index != 0) return;
  float* y = a.y;
  for (std::int64_t r = 0; r < resolve(a.rows, step); ++r) {
    y = std::copy_n(a.a + r * a.a_width, a.a_width, y);
    y = std::copy_n(a.b + r * a.b_width, a.b_width, y);
  }
}

void glu(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const GluArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t i = 0; i < resolve(a.rows, step) * a.width; ++i) {
    a.y[i] = static_cast<float>(gated(a.activation, a.gate[i], a.up[i]));
  }
}

}  // namespace medlar::kernels::ref
