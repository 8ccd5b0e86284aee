// Operations on one element, on random and on special values.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/ref/ref.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Values of all sizes, a dense sweep of where the functions bend, and the special ones.
std::vector<float> inputs(Rng& rng, std::int64_t n) {
  std::vector<float> x = rng.normals(n, 4);
  const float special[] = {0.0f,  -0.0f, kInf,  -kInf,  kNan,   1e-45f, -1e-40f, 1e-20f, 1e20f,  -1e20f,
                           3e38f, 88.0f, 89.0f, -88.0f, -89.0f, 104.0f, -104.0f, 0.625f, -0.62f, 1e-6f};
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i % 3 == 1) x[i] = static_cast<float>(rng.below(20001) - 10000) * 0.003f;
    if (i % 5 == 2) x[i] = special[i / 5 % std::size(special)];
  }
  return x;
}

// Relative bounds in units of u, beside `tiny` absolutely: results below it may vanish.
constexpr double kTiny = 1e-36;

struct Shape {
  std::int64_t rows, width;
};
constexpr Shape kShapes[] = {{1, 1}, {1, 576}, {3, 37}, {9, 640}, {33, 130}};

template <class Args, class Bound>
int compare(const KernelEntry& entry, Args args, Shape shape, Bound bound, const char* what) {
  const SimpleStep s(shape.rows);
  std::vector<float> want(static_cast<std::size_t>(shape.rows * shape.width));
  args.rows = RowCount::tokens;
  args.width = shape.width;
  args.y = want.data();
  run(ref_entry(entry.op), &args, s.step, 1);
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const Guarded y(static_cast<std::int64_t>(want.size()) * 4, 4);
    args.y = y.floats();
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    compared += expect_near(y.values(), want, [&](std::size_t i) { return bound(i, want[i]) + kTiny; }, what);
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (std::isfinite(want[i])) continue;
      EXPECT_FALSE(std::isfinite(y.values()[i])) << what << ", element " << i << " lost " << want[i];
    }
  }
  return compared;
}

}  // namespace

int check_binary(const KernelEntry& entry) {
  Rng rng(3);
  int compared = 0;
  for (const Shape shape : kShapes) {
    const std::int64_t n = shape.rows * shape.width;
    for (const bool broadcast : {false, true}) {
      for (const BinaryOp op : {BinaryOp::add, BinaryOp::mul}) {
        const Guarded a(inputs(rng, n)), b(rng.normals(broadcast ? shape.width : n));
        const BinaryArgs args{.op = op, .a = a.floats(), .b = b.floats(), .broadcast = broadcast};
        compared += compare(entry, args, shape, [](std::size_t, float) { return 0.0; }, "binary");
      }
    }
  }
  return compared;
}

// silu, gelu: exponential 1.5 ulp, sum, quotient, and for gelu the rounding of its argument, which the slope
// of e^-u multiplies by |u| <= 88. tanh: see math.h. scale: one rounding.
int check_unary(const KernelEntry& entry) {
  Rng rng(4);
  int compared = 0;
  for (const Shape shape : kShapes) {
    const Guarded x(inputs(rng, shape.rows * shape.width));
    const auto with = [&](UnaryOp op, float parameter, auto bound, const char* what) {
      const UnaryArgs args{.op = op, .parameter = parameter, .x = x.floats()};
      compared += compare(entry, args, shape, bound, what);
    };
    with(UnaryOp::scale, 0.3f, [](std::size_t, float y) { return kUlp * std::abs(y); }, "scale");
    with(UnaryOp::softcap, 30.0f, [](std::size_t, float y) { return 10 * kUlp * std::abs(y); }, "softcap");
    with(UnaryOp::sigmoid, 0, [](std::size_t, float y) { return 8 * kUlp * std::abs(y); }, "sigmoid");
    with(UnaryOp::relu_squared, 0, [](std::size_t, float y) { return kUlp * std::abs(y); }, "relu squared");
    with(UnaryOp::silu, 0, [](std::size_t, float y) { return 8 * kUlp * std::abs(y); }, "silu");
    // The distribution's tail is right to 2^-22 beside 1.
    with(
        UnaryOp::gelu_erf, 0,
        [&](std::size_t i, float y) { return 0x1p-22 * std::abs(x.values()[i]) + 8 * kUlp * std::abs(y); },
        "gelu_erf");
    with(UnaryOp::gelu, 0, [](std::size_t, float y) { return (8 + 4 * 88) * kUlp * std::abs(y); }, "gelu");
    // Where gelu's argument is small the bound is as small as silu's.
    with(
        UnaryOp::gelu, 0,
        [&](std::size_t i, float y) {
          const double v = x.values()[i], u = 1.6 * std::abs(v + 0.0447 * v * v * v);
          return (8 + 4 * std::min(u, 88.0)) * kUlp * std::abs(y);
        },
        "gelu by size");
  }
  return compared;
}

// The logarithm, its factor and sum, and the product: a rounding each, and the log's own.
int check_temperature(const KernelEntry& entry) {
  Rng rng(8);
  int compared = 0;
  for (const Shape shape : kShapes) {
    const std::int64_t n = shape.rows * shape.width;
    const Guarded x(rng.normals(n));
    SimpleStep s(shape.rows);
    for (std::size_t t = 0; t < s.positions.size(); ++t) s.positions[t] = static_cast<std::int32_t>(t * 700);
    std::vector<float> want(static_cast<std::size_t>(n));
    TemperatureArgs args{
        .x = x.floats(), .width = shape.width, .beta = 0.1f, .length = 500, .y = want.data()};
    run(ref_entry(KernelOp::temperature), &args, s.step, 1);
    for (const int threads : {1, 3}) {
      const Guarded y(n * 4, 4);
      args.y = y.floats();
      run(entry, &args, s.step, threads);
      EXPECT_TRUE(y.intact());
      compared += expect_near(
          y.values(), want, [&](std::size_t i) { return 6 * kUlp * std::abs(want[i]); }, "temperature");
    }
  }
  return compared;
}

int check_concat(const KernelEntry& entry) {
  Rng rng(6);
  int compared = 0;
  for (const Shape shape : kShapes) {
    for (const std::int64_t other : {1, 64, 100}) {
      const Guarded a(rng.normals(shape.rows * shape.width)), b(rng.normals(shape.rows * other));
      const SimpleStep s(shape.rows);
      const std::int64_t n = shape.rows * (shape.width + other);
      std::vector<float> want(static_cast<std::size_t>(n));
      ConcatArgs args{a.floats(), b.floats(), RowCount::tokens, shape.width, other, want.data()};
      run(ref_entry(KernelOp::concat), &args, s.step, 1);
      for (const int threads : {1, 2, 5}) {
        const Guarded y(n * 4, 4);
        args.y = y.floats();
        run(entry, &args, s.step, threads);
        EXPECT_TRUE(y.intact());
        compared += expect_near(y.values(), want, [](std::size_t) { return 0.0; }, "concat");
      }
    }
  }
  return compared;
}

int check_glu(const KernelEntry& entry) {
  Rng rng(5);
  int compared = 0;
  for (const Shape shape : kShapes) {
    const std::int64_t n = shape.rows * shape.width;
    const Guarded gate(inputs(rng, n)), up(rng.normals(n));
    for (const Activation activation :
         {Activation::none, Activation::silu, Activation::gelu, Activation::clamped_silu}) {
      const GluArgs args{.activation = activation, .gate = gate.floats(), .up = up.floats()};
      // The slope of e^-u multiplies the rounding of its argument, which 1.702 g is.
      const double ulps = activation == Activation::gelu           ? 10 + 4 * 88
                          : activation == Activation::clamped_silu ? 10 + 2 * 88
                                                                   : 10;
      compared +=
          compare(entry, args, shape, [=](std::size_t, float y) { return ulps * kUlp * std::abs(y); }, "glu");
    }
  }
  return compared;
}

}  // namespace medlar::kernels::testing
