// glu, binary and unary against the references.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuElementwise : public OnEmulator {
 protected:
  // Runs over shapes with tails; `check(width, rows, a, b)` launches and compares.
  template <class Check>
  void each_shape(Check&& check) {
    for (std::int64_t width : {1, 255, 257, 700})
      for (std::size_t rows : {1, 3}) {
        const std::size_t n = rows * static_cast<std::size_t>(width);
        const Guarded<float> a(random_floats(n, random, 3)), b(random_floats(n, random, 3));
        check(width, tokens_only(rows), a, b);
      }
  }
  static emulator::Extent grid(std::int64_t width, const TestStep& step) {
    return {ceil_div(width, 256), to_u32(static_cast<std::int64_t>(step.tokens()) + 1)};
  }
};

TEST_P(GpuElementwise, Glu) {
  for (Activation activation :
       {Activation::none, Activation::silu, Activation::gelu, Activation::clamped_silu})
    each_shape([&](std::int64_t width, const TestStep& step, const auto& gate, const auto& up) {
      Guarded<float> y(gate.size(), NAN);
      const auto counts = step.counts();
      launch("glu", grid(width, step),
             gpu::GluParams{gpu::kRowsTokens, to_u32(width), static_cast<u32>(activation)},
             {&counts, gate.data(), up.data(), y.data()});
      std::vector<float> want(gate.size());
      const GluArgs args{activation, gate.data(), up.data(), RowCount::tokens, width, want.data()};
      ref_entry(KernelOp::glu).step(&args, step.host(), {});
      expect_close(y.span(), want, 2e-6, 1e-7, "glu");
    });
}

TEST_P(GpuElementwise, Binary) {
  for (BinaryOp op : {BinaryOp::add, BinaryOp::mul})
    for (bool broadcast : {false, true})
      each_shape([&](std::int64_t width, const TestStep& step, const auto& a, const auto& b) {
        Guarded<float> y(a.size(), NAN);
        const auto counts = step.counts();
        launch("binary", grid(width, step),
               gpu::BinaryParams{gpu::kRowsTokens, to_u32(width), static_cast<u32>(op), broadcast},
               {&counts, a.data(), b.data(), y.data()});
        std::vector<float> want(a.size());
        const BinaryArgs args{op, a.data(), b.data(), broadcast, RowCount::tokens, width, want.data()};
        ref_entry(KernelOp::binary).step(&args, step.host(), {});
        expect_close(y.span(), want, 0, 0, "binary");
      });
}

TEST_P(GpuElementwise, Unary) {
  for (UnaryOp op : {UnaryOp::scale, UnaryOp::softcap, UnaryOp::silu, UnaryOp::gelu, UnaryOp::sigmoid,
                     UnaryOp::gelu_erf, UnaryOp::relu_squared})
    each_shape([&](std::int64_t width, const TestStep& step, const auto& x, const auto&) {
      Guarded<float> y(x.size(), NAN);
      const auto counts = step.counts();
      launch("unary", grid(width, step),
             gpu::UnaryParams{gpu::kRowsTokens, to_u32(width), static_cast<u32>(op), 2.5F},
             {&counts, x.data(), y.data()});
      std::vector<float> want(x.size());
      const UnaryArgs args{op, 2.5F, x.data(), RowCount::tokens, width, want.data()};
      ref_entry(KernelOp::unary).step(&args, step.host(), {});
      // The tail of the normal distribution is right beside 1.
      expect_close(y.span(), want, 2e-6, op == UnaryOp::gelu_erf ? 3e-6 : 1e-7, "unary");
    });
}

TEST_P(GpuElementwise, Concat) {
  each_shape([&](std::int64_t width, const TestStep& step, const auto& a, const auto& b) {
    Guarded<float> y(a.size() + b.size(), NAN);
    const auto counts = step.counts();
    launch("concat", grid(2 * width, step), gpu::ConcatParams{gpu::kRowsTokens, to_u32(width), to_u32(width)},
           {&counts, a.data(), b.data(), y.data()});
    std::vector<float> want(y.size());
    const ConcatArgs args{a.data(), b.data(), RowCount::tokens, width, width, want.data()};
    ref_entry(KernelOp::concat).step(&args, step.host(), {});
    expect_close(y.span(), want, 0, 0, "concat");
  });
}

TEST_P(GpuElementwise, Temperature) {
  each_shape([&](std::int64_t width, TestStep step, const auto& x, const auto&) {
    step.positions.resize(step.explicit_tokens);
    for (std::size_t t = 0; t < step.positions.size(); ++t) step.positions[t] = static_cast<i32>(t * 700 + 3);
    Guarded<float> y(x.size(), NAN);
    const auto counts = step.counts();
    launch("temperature", grid(width, step), gpu::TemperatureParams{to_u32(width), 0.1F, 500},
           {&counts, step.positions.data(), x.data(), y.data()});
    std::vector<float> want(x.size());
    const TemperatureArgs args{x.data(), width, 0.1F, 500, want.data()};
    ref_entry(KernelOp::temperature).step(&args, step.host(), {});
    expect_close(y.span(), want, 2e-6, 1e-7, "temperature");
  });
}

MEDLAR_EVERY_ORDER(GpuElementwise);

}  // namespace
}  // namespace medlar::testing
