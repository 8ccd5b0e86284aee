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
  u32 aligned() const {
    return reinterpret_cast<std::uintptr_t>(weight.data()) % 16 == 0 && row_bytes(type, shape.k) % 16 == 0;
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

// x as prepare makes it ready.
struct Prepared {
  Guarded<u16> x;
  Guarded<float> scales;

  Prepared(Launcher& launch, const Product& p, const gpu::StepCounts& counts, std::int64_t rows,
           std::int64_t columns, u32 layout = gpu::kLayoutRows)
      : x(static_cast<std::size_t>(ceil_div(p.shape.rows, rows) * rows * ceil_div(p.shape.k, columns) *
                                   columns)),
        scales(static_cast<std::size_t>(p.shape.rows)) {
    launch("prepare", {to_u32(p.shape.rows)},
           gpu::PrepareParams{gpu::kRowsTokens, to_u32(p.shape.k), 0, 0, 0, 1, layout, to_u32(rows / 8)},
           {&counts, p.x.data(), p.x.data(), x.data(), scales.data()});
  }
};

// Both factors are rounded to f16's eleven bits.
double tile_error(const Product& p) { return 0x1p-10 + (static_cast<double>(p.shape.k) + 16) * 0x1p-24; }

TEST_P(GpuLinear, Tiles) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t block = info.block_length;
    for (const Shape3 shape : {Shape3{1, 3, block == 1 ? 7 : block},
                               {70, 65, block == 1 ? 100 : block},
                               {33, 130, block == 1 ? 64 : block * 2}}) {
      Product p(type, shape, random);
      const auto counts = tokens_only(static_cast<std::size_t>(shape.rows)).counts();
      Prepared x(launch, p, counts, 1, 8);
      for (bool extras : {false, true}) {
        Guarded<float> y(p.want.size(), NAN);
        const std::string name = fmt::format("linear_tile_{}", info.name);
        launch(name, {ceil_div(shape.n, 64), ceil_div(shape.rows, 64) + 1},
               gpu::TileParams{p.params(extras), 1, to_u32(shape.k), to_u32(shape.rows), p.aligned()},
               {&counts, x.x.data(), x.scales.data(), p.weight.data(), p.bias.data(), p.residual.data(),
                y.data()});
        p.check(y, extras, tile_error(p), name);
      }
    }
  }
}

TEST_P(GpuLinear, TilesInParts) {
  for (const auto& [type, k] : {std::pair{DType::q4_k, 768}, {DType::f16, 1003}}) {
    Product p(type, {9, 70, k}, random);
    const auto counts = tokens_only(9).counts();
    Prepared x(launch, p, counts, 1, 8);
    for (bool extras : {false, true}) {
      const gpu::TileParams params{p.params(extras), ceil_div(k, 256), 256, 16, p.aligned()};
      Guarded<float> sums(params.parts * 16UL * 70, NAN), y(p.want.size(), NAN);
      launch(fmt::format("linear_tile_{}", format_info(type).name), {2, 1, params.parts}, params,
             {&counts, x.x.data(), x.scales.data(), p.weight.data(), p.bias.data(), p.residual.data(),
              sums.data()});
      launch("linear_sum", {1, 16}, params,
             {&counts, sums.data(), p.bias.data(), p.residual.data(), y.data()});
      p.check(y, extras, tile_error(p), "parts");
    }
  }
}

// Rows in registers, in two parts where there are columns enough. A minimum of a group and its scale are
// rounded to f16 before they make a weight: errors of their magnitudes.
class GpuLinearRows : public OnEmulator {
 protected:
  void SetUp() override {
    if (!emulator::find_kernel("linear_rows_f16_16")) GTEST_SKIP() << "Metal's text has no such kernels";
  }
};

TEST_P(GpuLinearRows, AgreeWithTheReference) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t block = info.block_length;
    for (const auto& [most, shape] : {std::pair{16, Shape3{2, 3, block == 1 ? 8 : block}},
                                      {16, {13, 130, block == 1 ? 328 : block * (block == 256 ? 3 : 9)}},
                                      {32, {31, 33, block == 1 ? 72 : block * 2}},
                                      {64, {50, 129, block == 1 ? 40 : block}}}) {
      Product p(type, shape, random);
      const auto counts = tokens_only(static_cast<std::size_t>(shape.rows)).counts();
      Prepared x(launch, p, counts, most, 32, gpu::kLayoutLanes);
      const u32 parts = ceil_div(shape.k, 256);
      const u32 room = to_u32(shape.rows) + 1;
      for (bool extras : {false, true}) {
        Guarded<float> sums(parts * room * static_cast<std::size_t>(shape.n), NAN), y(p.want.size(), NAN);
        const gpu::TileParams params{p.params(extras), parts, 256, room, p.aligned()};
        const std::string name = fmt::format("linear_rows_{}_{}", info.name, most);
        launch(name, {ceil_div(shape.n, 64), 1, parts}, params,
               {&counts, x.x.data(), x.scales.data(), p.weight.data(), p.bias.data(), p.residual.data(),
                parts > 1 ? sums.data() : y.data()});
        if (parts > 1)
          launch("linear_sum", {ceil_div(shape.n, 256), to_u32(shape.rows)}, params,
                 {&counts, sums.data(), p.bias.data(), p.residual.data(), y.data()});
        p.check(y, extras, type == DType::q4_k ? 4 * tile_error(p) : tile_error(p), name);
      }
    }
  }
}

// The columns of a row in swizzled tiles, as this test understands them.
std::size_t swizzled(std::int64_t row, std::int64_t k, std::int64_t k_tiles) {
  const std::int64_t tile = row / 128 * k_tiles + k / 64, r = row % 128, c = k % 64;
  return static_cast<std::size_t>(tile * 8192 + r * 64 + (c / 8 ^ r % 8) * 8 + c % 8);
}

TEST_P(GpuLinear, UnpacksToSwizzledTiles) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    const std::int64_t k = info.block_length == 1 ? 71 : info.block_length, first = 3, n = 133;
    const Product p(type, {1, first + n, k}, random);
    const std::int64_t k_tiles = ceil_div(k, 64);
    Guarded<u16> y(static_cast<std::size_t>(2 * k_tiles) * 8192);
    launch(fmt::format("unpack_{}", info.name), {ceil_div(n, 8)},
           gpu::UnpackParams{to_u32(n), to_u32(first), to_u32(k), p.params(false).row_bytes, to_u32(k_tiles),
                             p.aligned()},
           {p.weight.data(), y.data()});
    std::vector<float> w(static_cast<std::size_t>(k_tiles * 64));
    for (std::int64_t j = 0; j < n; ++j) {
      decode_row(type, p.weight.data() + (first + j) * row_bytes(type, k), w.data(), k);
      for (std::int64_t i = 0; i < k_tiles * 64; ++i)
        ASSERT_EQ(y[swizzled(j, i, k_tiles)], formats::f32_to_f16_bits(w[static_cast<std::size_t>(i)]))
            << info.name << ", row " << j << ", column " << i;
    }
  }
}

// `n` outputs of a matrix from `first` on, unpacked.
struct Unpacked {
  Guarded<u16> w;

  Unpacked(Launcher& launch, const Product& p, std::int64_t first, std::int64_t n)
      : w(static_cast<std::size_t>(ceil_div(n, 256) * 2 * ceil_div(p.shape.k, 64)) * 8192) {
    launch(fmt::format("unpack_{}", format_info(p.type).name), {ceil_div(n, 8)},
           gpu::UnpackParams{to_u32(n), to_u32(first), to_u32(p.shape.k), p.params(false).row_bytes,
                             ceil_div(p.shape.k, 64), p.aligned()},
           {p.weight.data(), w.data()});
  }
};

struct WgmmaCase {
  Shape3 shape;
  std::int64_t first;  // output
  u32 groups;
  u32 halves;
};

class GpuWgmma : public OnEmulator {
 protected:
  void SetUp() override {
    if (!emulator::find_kernel("linear_wgmma_1")) GTEST_SKIP() << "Metal's text has no such kernels";
  }
  gpu::WgmmaParams params(const Product& p, const WgmmaCase& c, bool glu) {
    const std::int64_t part = p.shape.n - c.first;
    return {.rows = gpu::kRowsTokens,
            .n = to_u32(p.shape.n),
            .first = to_u32(c.first),
            .part = to_u32(part),
            .n_tiles = ceil_div(part, glu ? 128 : c.halves * 128),
            .k_tiles = ceil_div(p.shape.k, 64),
            .groups = c.groups,
            .glu = glu,
            .activation = glu ? u32{gpu::kActivationSilu} : 0,
            .has_bias = 0,
            .has_residual = 0};
  }
};

// Fewer threadgroups than tiles, more rows and outputs than whole tiles, odd widths, stages that come round
// again.
constexpr WgmmaCase kWgmmaCases[] = {
    {{3, 5, 40}, 0, 1, 1}, {{130, 257, 71}, 0, 3, 2}, {{9, 270, 391}, 128, 1, 1}};

TEST_P(GpuWgmma, AgreesWithTheReference) {
  for (const WgmmaCase& c : kWgmmaCases) {
    Product p(DType::f16, c.shape, random);
    const auto counts = tokens_only(static_cast<std::size_t>(c.shape.rows)).counts();
    Prepared x(launch, p, counts, 128, 64, gpu::kLayoutTiles);
    const Unpacked w(launch, p, c.first, c.shape.n - c.first);
    for (bool extras : {false, true}) {
      gpu::WgmmaParams params = this->params(p, c, false);
      params.has_bias = params.has_residual = extras;
      Guarded<float> y(p.want.size(), NAN);
      launch(fmt::format("linear_wgmma_{}", c.halves), {c.groups}, params,
             {&counts, x.x.data(), x.scales.data(), w.w.data(), w.w.data(), p.bias.data(), p.residual.data(),
              y.data()});
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(y.size()); ++i)
        if (i % c.shape.n < c.first) {  // another part's
          float& other = y[static_cast<std::size_t>(i)];
          EXPECT_TRUE(std::isnan(other));
          other = p.want[static_cast<std::size_t>(i)] +
                  (extras ? p.bias[static_cast<std::size_t>(i % c.shape.n)] +
                                p.residual[static_cast<std::size_t>(i)]
                          : 0);
        }
      p.check(y, extras, tile_error(p), "linear_wgmma");
    }
  }
}

// The first 131 outputs are the gate, the others are what it lets through.
TEST_P(GpuWgmma, GatesItsHalves) {
  constexpr std::int64_t kRows = 5, kWidth = 131;
  Product p(DType::q8_0, {kRows, 2 * kWidth, 160}, random);
  const auto counts = tokens_only(kRows).counts();
  Prepared x(launch, p, counts, 128, 64, gpu::kLayoutTiles);
  const Unpacked gate(launch, p, 0, kWidth), up(launch, p, kWidth, kWidth);
  gpu::WgmmaParams params = this->params(p, {p.shape, 0, 2, 2}, true);
  params.n = params.part = kWidth, params.n_tiles = 2;
  Guarded<float> y(kRows * kWidth, NAN);
  launch("linear_wgmma_2", {2}, params,
         {&counts, x.x.data(), x.scales.data(), gate.w.data(), up.w.data(), p.bias.data(), p.residual.data(),
          y.data()});
  std::vector<float> want;
  std::vector<double> bound;
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t j = 0; j < kWidth; ++j) {
      const std::size_t at = i * 2 * kWidth + j;
      const double g = p.want[at], u = p.want[at + kWidth], silu = g / (1 + std::exp(-g));
      const double g_error = tile_error(p) * p.magnitude[at],
                   u_error = tile_error(p) * p.magnitude[at + kWidth];
      want.push_back(static_cast<float>(silu * u));
      // The slope of silu is below 1.1.
      bound.push_back(1.1 * g_error * (std::abs(u) + u_error) + std::abs(silu) * u_error + 1e-6);
    }
  expect_within(y.span(), want, bound, "gate and up");
}

MEDLAR_EVERY_ORDER(GpuLinearRows);
MEDLAR_EVERY_ORDER(GpuWgmma);
MEDLAR_EVERY_ORDER(GpuLinear);

}  // namespace
}  // namespace medlar::testing
