// Products of every weight format, by few rows and by tiles, against the references.
#include <cmath>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

struct Shape3 {
  std::int64_t rows, n, k;
};

// One product: its operands, what it should give, and the sum of magnitudes that rounding errors scale with.
struct Product {
  Shape3 shape;
  DType type;
  Guarded<std::byte> weight;
  Guarded<float> x, bias, residual;
  std::vector<float> want;
  std::vector<double> magnitude;  // sum of |w x|

  Product(DType t, Shape3 s, std::mt19937& random)
      : shape(s),
        type(t),
        weight(random_rows(t, s.n, s.k, random)),
        x(random_floats(static_cast<std::size_t>(s.rows * s.k), random)),
        bias(random_floats(static_cast<std::size_t>(s.n), random)),
        residual(random_floats(static_cast<std::size_t>(s.rows * s.n), random)) {
    std::vector<float> w(static_cast<std::size_t>(s.n * s.k));
    for (std::int64_t j = 0; j < s.n; ++j)
      decode_row(type, weight.data() + j * row_bytes(type, s.k), w.data() + j * s.k, s.k);
    for (std::int64_t m = 0; m < s.rows; ++m)
      for (std::int64_t j = 0; j < s.n; ++j) {
        double sum = 0, magnitudes = 0;
        for (std::int64_t i = 0; i < s.k; ++i) {
          const double product =
              static_cast<double>(w[static_cast<std::size_t>(j * s.k + i)]) * x.data()[m * s.k + i];
          sum += product, magnitudes += std::abs(product);
        }
        want.push_back(static_cast<float>(sum));
        magnitude.push_back(magnitudes);
      }
  }

  gpu::LinearParams params(bool extras) const {
    return {gpu::kRowsTokens, to_u32(shape.n), to_u32(shape.k), to_u32(row_bytes(type, shape.k)),
            extras,           extras};
  }
  void check(const Guarded<float>& y, bool extras, double relative, const std::string& what) {
    std::vector<float> expected = want;
    std::vector<double> bound;
    for (std::size_t i = 0; i < want.size(); ++i) {
      if (extras) expected[i] += bias[i % static_cast<std::size_t>(shape.n)] + residual[i];
      bound.push_back(relative * magnitude[i] + 1e-6 * (1 + std::abs(expected[i])));
    }
    expect_within(y.span(), expected, bound,
                  fmt::format("{} {} x {} x {}", what, shape.rows, shape.n, shape.k));
  }
};

class GpuLinear : public OnEmulator {};

TEST_P(GpuLinear, FewRows) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t block = info.block_length;
    for (int batch : {1, 4, 8})
      for (const Shape3 shape : {Shape3{1, 1, block},
                                 {3, 5, block == 1 ? 7 : block * 2},
                                 {batch + 1, 18, block == 1 ? 523 : block * 9}}) {
        Product p(type, shape, random);
        const auto counts = tokens_only(static_cast<std::size_t>(shape.rows)).counts();
        for (bool extras : {false, true}) {
          Guarded<float> y(p.want.size(), NAN);
          const std::string name = fmt::format("linear_vec_{}_{}", info.name, batch);
          launch(name, {ceil_div(shape.n, 16), ceil_div(shape.rows, batch) + 1}, p.params(extras),
                 {&counts, p.x.data(), p.weight.data(), p.bias.data(), p.residual.data(), y.data()});
          // A lane adds k / 32 products, then five lanes' sums follow.
          const double chain = static_cast<double>(shape.k) / 32 + 16;
          p.check(y, extras, chain * 0x1p-24, name);
        }
      }
  }
}

TEST_P(GpuLinear, Tiles) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t block = info.block_length;
    for (const Shape3 shape : {Shape3{1, 3, block == 1 ? 7 : block},
                               {70, 65, block == 1 ? 100 : block},
                               {33, 130, block == 1 ? 64 : block * 2}}) {
      Product p(type, shape, random);
      const auto counts = tokens_only(static_cast<std::size_t>(shape.rows)).counts();
      Guarded<u16> x(p.x.size());
      Guarded<float> scales(static_cast<std::size_t>(shape.rows));
      launch("prepare", {to_u32(shape.rows)},
             gpu::PrepareParams{gpu::kRowsTokens, to_u32(shape.k), 0, 0, 0, 1},
             {&counts, p.x.data(), p.x.data(), x.data(), scales.data()});
      for (bool extras : {false, true}) {
        Guarded<float> y(p.want.size(), NAN);
        const std::string name = fmt::format("linear_tile_{}", info.name);
        launch(
            name, {ceil_div(shape.n, 64), ceil_div(shape.rows, 64) + 1}, p.params(extras),
            {&counts, x.data(), scales.data(), p.weight.data(), p.bias.data(), p.residual.data(), y.data()});
        // Both factors are rounded to f16's eleven bits.
        const double chain = static_cast<double>(shape.k) + 16;
        p.check(y, extras, 0x1p-10 + chain * 0x1p-24, name);
      }
    }
  }
}

MEDLAR_EVERY_ORDER(GpuLinear);

}  // namespace
}  // namespace medlar::testing
