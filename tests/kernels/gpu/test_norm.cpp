// rms_norm and prepare against the references.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuNorm : public OnEmulator {};

TEST_P(GpuNorm, NormalisesEveryShape) {
  for (std::size_t tokens : {1, 3})
    for (std::int64_t heads : {1, 5})
      for (std::int64_t dim : {1, 7, 64, 576, 1000})
        for (int extras = 0; extras < 4; ++extras) {
          const bool has_weight = extras & 1, has_residual = extras & 2;
          const auto n = tokens * static_cast<std::size_t>(heads * dim);
          const TestStep step = tokens_only(tokens);
          const Guarded<float> x(random_floats(n, random)),
              w(random_floats(static_cast<std::size_t>(dim), random)), residual(random_floats(n, random));
          Guarded<float> y(n, NAN);
          const auto counts = step.counts();
          launch(
              "rms_norm", {to_u32(static_cast<std::int64_t>(tokens + 1) * heads)},
              gpu::NormParams{gpu::kRowsTokens, to_u32(heads), to_u32(dim), 1e-5F, has_weight, has_residual},
              {&counts, x.data(), w.data(), residual.data(), y.data()});
          std::vector<float> want(n);
          const RmsNormArgs args{.x = x.data(),
                                 .weight = has_weight ? w.data() : nullptr,
                                 .residual = has_residual ? residual.data() : nullptr,
                                 .rows = RowCount::tokens,
                                 .per_row = heads,
                                 .dim = dim,
                                 .eps = 1e-5F,
                                 .y = want.data()};
          ref_entry(KernelOp::rms_norm).step(&args, step.host(), {});
          expect_close(y.span(), want, 1e-5, 1e-6, fmt::format("{} x {} x {}", tokens, heads, dim));
        }
}

TEST_P(GpuNorm, NormalisesLayers) {
  for (std::size_t tokens : {1, 3})
    for (std::int64_t dim : {2, 7, 64, 576, 1000})
      for (bool has_bias : {false, true}) {
        const auto width = static_cast<std::size_t>(dim), n = tokens * width;
        const TestStep step = tokens_only(tokens);
        std::vector<float> values = random_floats(n, random);
        for (float& v : values) v += 2;
        const Guarded<float> x(values), w(random_floats(width, random)), bias(random_floats(width, random));
        Guarded<float> y(n, NAN);
        const auto counts = step.counts();
        launch("layer_norm", {to_u32(static_cast<std::int64_t>(tokens) + 1)},
               gpu::LayerNormParams{gpu::kRowsTokens, to_u32(dim), 1e-5F, has_bias},
               {&counts, x.data(), w.data(), bias.data(), y.data()});
        std::vector<float> want(n);
        const LayerNormArgs args{.x = x.data(),
                                 .weight = w.data(),
                                 .bias = has_bias ? bias.data() : nullptr,
                                 .rows = RowCount::tokens,
                                 .dim = dim,
                                 .eps = 1e-5F,
                                 .y = want.data()};
        ref_entry(KernelOp::layer_norm).step(&args, step.host(), {});
        expect_close(y.span(), want, 2e-5, 2e-5, fmt::format("{} x {}", tokens, dim));
      }
}

// Rows of f16 times their scale are the normalised rows, whatever their magnitude.
TEST_P(GpuNorm, PreparesRowsOfAnyMagnitude) {
  constexpr std::size_t kRows = 4, kDim = 300, kStride = 304;
  constexpr float kScales[kRows] = {1, 3e6F, 1e-7F, 0};
  for (bool norm : {false, true}) {
    std::vector<float> values = random_floats(kRows * kDim, random);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= kScales[i / kDim];
    const Guarded<float> x(values), w(random_floats(kDim, random));
    Guarded<u16> y(kRows * kStride);
    Guarded<float> scales(kRows);
    const TestStep step = tokens_only(kRows);
    const auto counts = step.counts();
    launch("prepare", {kRows}, gpu::PrepareParams{gpu::kRowsTokens, kDim, norm, norm, 1e-6F, 1, 0},
           {&counts, x.data(), w.data(), y.data(), scales.data()});
    std::vector<float> want = values;
    const RmsNormArgs args{.x = x.data(),
                           .weight = w.data(),
                           .residual = nullptr,
                           .rows = RowCount::tokens,
                           .per_row = 1,
                           .dim = kDim,
                           .eps = 1e-6F,
                           .y = want.data()};
    if (norm) ref_entry(KernelOp::rms_norm).step(&args, step.host(), {});
    for (std::size_t r = 0; r < kRows; ++r) {
      float top = 0;
      for (std::size_t i = 0; i < kDim; ++i) top = std::max(top, std::abs(want[r * kDim + i]));
      for (std::size_t i = 0; i < kDim; ++i) {
        const float got = formats::f16_bits_to_f32(y[r * kStride + i]) * scales[r],
                    expected = want[r * kDim + i];
        // Half a unit of f16's eleven bits, or of its smallest step below the row's top.
        ASSERT_NEAR(got, expected, std::abs(expected) * 0x1.1p-11 + static_cast<double>(top) * 0x1p-36)
            << "row " << r << ", element " << i;
      }
      for (std::size_t i = kDim; i < kStride; ++i) EXPECT_EQ(y[r * kStride + i], 0);
    }
  }
}

MEDLAR_EVERY_ORDER(GpuNorm);

}  // namespace
}  // namespace medlar::testing
