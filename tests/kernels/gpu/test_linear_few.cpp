// Rows of activations as bytes, and the products of few rows that read them, against sums in f64.
#include <cmath>

#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

// One row of bytes as kernels/gpu/int8_rows.h describes it.
struct Int8Row {
  const std::byte* bytes;
  std::int64_t dim;

  static std::int64_t stride(std::int64_t dim) { return (dim + 2047) / 2048 * 2048; }
  static std::int64_t size(std::int64_t dim) { return stride(dim) + stride(dim) / 32 * 12; }
  double code(std::int64_t i) const {
    const std::int64_t in = i % 2048, at = i - in + in % 64 / 16 * 512 + in / 64 * 16 + in % 16;
    return static_cast<double>(static_cast<std::int8_t>(bytes[at]));
  }
  double number(std::int64_t i) const {
    float v = 0;
    std::memcpy(&v, bytes + stride(dim) + i * 4, sizeof v);
    return static_cast<double>(v);
  }
  double scale(std::int64_t i) const { return number(i / 32 * 2); }
  double sum(std::int64_t i) const { return number(i / 32 * 2 + 1); }
  double squares(std::int64_t i) const { return number(stride(dim) / 32 * 2 + i / 32); }
  double value(std::int64_t i) const { return scale(i) * code(i); }
};

// Checks a row of bytes: the nearest of 255 codes for each of `values`, and the sums.
void expect_row(const Int8Row& row, std::span<const double> values, std::span<const double> plain,
                double slack, const std::string& what) {
  for (std::int64_t first = 0; first < row.dim; first += 32) {
    double top = 0, sum = 0, squares = 0;
    for (std::int64_t i = first; i < first + 32; ++i) {
      const auto at = static_cast<std::size_t>(i);
      top = std::max(top, std::abs(values[at]));
      sum += row.code(i), squares += plain[at] * plain[at];
    }
    ASSERT_NEAR(row.scale(first), top / 127, top * (1e-6 + slack)) << what << ", group from " << first;
    ASSERT_NEAR(row.sum(first), row.scale(first) * sum, std::abs(row.scale(first) * sum) * 1e-5) << what;
    ASSERT_NEAR(row.squares(first), squares, squares * (1e-5 + slack)) << what;
    for (std::int64_t i = first; i < first + 32; ++i)
      ASSERT_NEAR(row.value(i), values[static_cast<std::size_t>(i)], top * (0.50001 / 127 + slack))
          << what << ", value " << i;
  }
}

std::vector<double> widened(std::span<const float> v) { return {v.begin(), v.end()}; }

class GpuInt8 : public OnEmulator {
 protected:
  void quantize(std::int64_t rows, std::int64_t dim, const Guarded<float>& x, const float* weight,
                Guarded<std::byte>& y) {
    const auto counts = tokens_only(static_cast<std::size_t>(rows)).counts();
    launch("quantize", {ceil_div(dim, 256), to_u32(rows + 1)},
           gpu::QuantizeParams{gpu::kRowsTokens, to_u32(dim), weight != nullptr},
           {&counts, x.data(), weight ? weight : x.data(), y.data()});
  }
};

TEST_P(GpuInt8, RowsHoldTheNearestCodes) {
  for (const std::int64_t dim : {32, 288, 4160})
    for (const bool weighted : {false, true}) {
      const auto n = static_cast<std::size_t>(3 * dim);
      std::vector<float> values = random_floats(n, random);
      std::fill_n(values.begin() + dim, 32, 0.0F);
      const Guarded<float> x(values), weight(random_floats(static_cast<std::size_t>(dim), random));
      Guarded<std::byte> y(static_cast<std::size_t>(3 * Int8Row::size(dim)));
      quantize(3, dim, x, weighted ? weight.data() : nullptr, y);
      for (std::int64_t r = 0; r < 3; ++r) {
        const std::vector<double> plain = widened({x.data() + r * dim, static_cast<std::size_t>(dim)});
        std::vector<double> want = plain;
        for (std::size_t i = 0; i < want.size() && weighted; ++i)
          want[i] *= static_cast<double>(weight.data()[i]);
        expect_row({y.data() + r * Int8Row::size(dim), dim}, want, plain, 0,
                   fmt::format("dim {}, row {}", dim, r));
      }
    }
}

TEST_P(GpuInt8, WhatIsNotFiniteStaysSo) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    Guarded<float> x(64, 1.0F);
    x[40] = bad;
    Guarded<std::byte> y(static_cast<std::size_t>(Int8Row::size(64)));
    quantize(1, 64, x, nullptr, y);
    const Int8Row row{y.data(), 64};
    EXPECT_TRUE(std::isfinite(row.scale(0)));
    EXPECT_FALSE(std::isfinite(row.scale(32))) << bad;
  }
}

MEDLAR_EVERY_ORDER(GpuInt8);

struct FewShape {
  std::int64_t rows, k;
  std::array<std::int64_t, 3> n;
  bool glu = false, extras = false, norm = false, bytes = false;
};

// A step's operands and what it should give.
class FewCase {
 public:
  FewCase(DType type, const FewShape& s, std::mt19937& random)
      : shape(s),
        type_(type),
        x(random_floats(static_cast<std::size_t>(s.rows * s.k), random)),
        residual(random_floats(static_cast<std::size_t>(s.rows * s.n[0]), random)),
        gamma(random_floats(static_cast<std::size_t>(s.n[0]), random)),
        x_gamma(random_floats(static_cast<std::size_t>(s.k), random)) {
    for (std::size_t i = 0; i < 3; ++i) {
      weight.emplace_back(std::make_unique<Guarded<std::byte>>(random_rows(type, s.n[i], s.k, random)));
      bias.emplace_back(
          std::make_unique<Guarded<float>>(random_floats(static_cast<std::size_t>(s.n[i]), random)));
      y.emplace_back(std::make_unique<Guarded<float>>(static_cast<std::size_t>(s.rows * s.n[i]), NAN));
    }
  }

  gpu::FewParams params(bool norm) const {
    return {.rows = gpu::kRowsTokens,
            .n = {to_u32(shape.n[0]), to_u32(shape.n[1]), to_u32(shape.n[2])},
            .k = to_u32(shape.k),
            .row_bytes = to_u32(row_bytes(type_, shape.k)),
            .norm = norm,
            .eps = 1e-5F,
            .glu = shape.glu,
            .activation = gpu::kActivationSilu,
            .has_bias = shape.extras ? 7U : 0U,
            .has_residual = shape.extras,
            .bytes = shape.bytes,
            .has_gamma = shape.bytes && shape.extras,
            .groups = 0};
  }

  // Sum of matrix i's row j by row m of `read`, and the magnitude that its rounding errors scale with.
  std::pair<double, double> sum(std::size_t i, std::int64_t m, std::int64_t j,
                                const std::vector<double>& read) const {
    std::vector<float> w(static_cast<std::size_t>(shape.k));
    decode_row(type_, weight[i]->data() + j * row_bytes(type_, shape.k), w.data(), shape.k);
    double sum = 0, top = 0, magnitude = 0;
    for (std::size_t c = 0; c < w.size(); ++c) {
      const double v = read[static_cast<std::size_t>(m * shape.k) + c];
      sum += static_cast<double>(w[c]) * v;
      magnitude += std::abs(v);
      top = std::max(top, std::abs(static_cast<double>(w[c])));
    }
    return {sum, top * magnitude};
  }

  // Checks the results for x as the kernel read it, a factor a row.
  void check(const std::vector<double>& read, const std::vector<double>& factor,
             const std::string& what) const {
    for (std::size_t i = 0; i < (shape.glu ? 1 : 3); ++i)
      for (std::int64_t m = 0; m < shape.rows; ++m)
        for (std::int64_t j = 0; j < shape.n[i]; ++j) {
          const double f = factor[static_cast<std::size_t>(m)];
          auto [want, magnitude] = sum(i, m, j, read);
          want *= f;
          const auto at = static_cast<std::size_t>(j), to = static_cast<std::size_t>(m * shape.n[i] + j);
          if (shape.extras) want += static_cast<double>((*bias[i])[at]);
          if (shape.glu) {
            auto [up, more] = sum(1, m, j, read);
            up = up * f + (shape.extras ? static_cast<double>((*bias[1])[at]) : 0);
            magnitude = magnitude * std::abs(up) + more * std::abs(want) + magnitude * more * f * 1e-4;
            want = want / (1 + std::exp(-want)) * up;
          }
          if (shape.extras && i == 0) want += static_cast<double>(residual.data()[to]);
          const double bound = (static_cast<double>(shape.k) / 32 + 64) * 0x1p-24 * magnitude * f;
          ASSERT_NEAR((*y[i])[to], want, bound + 1e-6 * (1 + std::abs(want)))
              << what << ", matrix " << i << ", row " << m << ", output " << j;
        }
  }

  const FewShape shape;

 private:
  DType type_;

 public:
  Guarded<float> x, residual, gamma, x_gamma;
  std::vector<std::unique_ptr<Guarded<std::byte>>> weight;
  std::vector<std::unique_ptr<Guarded<float>>> bias, y;
};

class GpuLinearFew : public GpuInt8 {
 protected:
  static constexpr int kBatch = gpu::kFewBatch;

  // Launches the case over `read` rows; returns the stored rows of bytes. Without a batch: linear_one in so
  // many threadgroups, or one a tile.
  std::vector<std::byte> run(FewCase& c, DType type, int batch, const void* read, bool norm, u32 groups = 0) {
    const FewShape& s = c.shape;
    const auto counts = tokens_only(static_cast<std::size_t>(s.rows)).counts();
    Guarded<std::byte> bytes(static_cast<std::size_t>(s.rows * Int8Row::size(s.n[0])));
    const std::int64_t tile = batch || s.bytes ? 32 : 8;
    u32 tiles = ceil_div(s.n[0], tile);
    if (!s.glu) tiles += ceil_div(s.n[1], tile) + ceil_div(s.n[2], tile);
    gpu::FewParams p = c.params(norm);
    p.groups = groups ? std::min(groups, tiles) : tiles;
    const std::string_view format = format_info(type).name;
    launch(batch ? fmt::format("linear_few_{}", format) : fmt::format("linear_one_{}", format),
           batch ? emulator::Extent{tiles, ceil_div(s.rows, batch) + 1} : emulator::Extent{p.groups}, p,
           {&counts, read, c.weight[0]->data(), c.weight[1]->data(), c.weight[2]->data(), c.bias[0]->data(),
            c.bias[1]->data(), c.bias[2]->data(), c.residual.data(), c.gamma.data(), c.x_gamma.data(),
            c.y[0]->data(), c.y[1]->data(), c.y[2]->data(), bytes.data()});
    return {bytes.span().begin(), bytes.span().end()};
  }

  // Of one row. Rows of three blocks do not begin at multiples of 16 bytes; some have several pieces, the
  // last of them short; some threadgroups have lines of two matrices, or more than their simdgroups take at
  // once.
  static std::vector<FewShape> single(std::int64_t block) {
    const std::int64_t small = std::max<std::int64_t>(block, 32);
    return {{1, small, {1, 0, 0}},
            {1, small * 3, {40, 33, 3}, false, true, true},
            {1, small * 9, {5, 70, 0}, false, false, true},
            {1, 4352, {64, 0, 0}, false, true, true, true},
            {1, 2304, {64, 64, 0}, true, false, true, true},
            {1, small, {3, 3, 0}, true, true, false, false},
            {1, small, {300, 9, 65}, false, false, false, false}};
  }

  static std::vector<FewShape> shapes(std::int64_t block, int batch) {
    const std::int64_t small = std::max<std::int64_t>(block, 32);
    return {{1, small, {1, 0, 0}},
            {batch + 1, small * 3, {40, 33, 3}, false, true, true},
            {batch, 2304, {5, 70, 0}, false, false, true},
            {2, 2304, {64, 0, 0}, false, true, true, true},
            {batch, small * 9, {64, 64, 0}, true, false, true, true},
            {1, small, {3, 3, 0}, true, true, false, false}};
  }

  void check_blocks(DType type, const FewShape& shape, int batch, u32 groups = 0) {
    FewCase c(type, shape, random);
    Guarded<std::byte> rows(static_cast<std::size_t>(shape.rows * Int8Row::size(shape.k)));
    quantize(shape.rows, shape.k, c.x, nullptr, rows);
    const std::vector<std::byte> bytes = run(c, type, batch, rows.data(), shape.norm, groups);
    std::vector<double> read, factor;
    for (std::int64_t m = 0; m < shape.rows; ++m) {
      double squares = 0;
      const Int8Row row{rows.data() + m * Int8Row::size(shape.k), shape.k};
      for (std::int64_t i = 0; i < shape.k; ++i) {
        const double v = static_cast<double>(c.x.data()[m * shape.k + i]);
        read.push_back(row.value(i)), squares += v * v;
      }
      factor.push_back(shape.norm ? 1 / std::sqrt(squares / static_cast<double>(shape.k) + 1e-5) : 1);
    }
    const std::string what = name_of(type, shape, batch);
    c.check(read, factor, what);
    check_bytes(c, bytes, what);
  }

  void check_dense(DType type, const FewShape& shape, u32 groups) {
    FewCase c(type, shape, random);
    const std::vector<std::byte> bytes = run(c, type, 0, c.x.data(), shape.norm, groups);
    const std::string what = name_of(type, shape, 0);
    std::vector<double> read = widened(c.x.span()), factor;
    for (std::int64_t m = 0; m < shape.rows; ++m) {
      double squares = 0;
      for (std::int64_t i = 0; i < shape.k && shape.norm; ++i) {
        double& v = read[static_cast<std::size_t>(m * shape.k + i)];
        squares += v * v, v *= static_cast<double>(c.x_gamma.data()[i]);
      }
      factor.push_back(shape.norm ? 1 / std::sqrt(squares / static_cast<double>(shape.k) + 1e-5) : 1);
    }
    c.check(read, factor, what);
    check_bytes(c, bytes, what);
  }

  static std::string name_of(DType type, const FewShape& shape, int batch) {
    return fmt::format("{} x {}, {} rows of {}", format_info(type).name, batch, shape.rows, shape.k);
  }

  void check_bytes(const FewCase& c, const std::vector<std::byte>& bytes, const std::string& what) {
    const FewShape& s = c.shape;
    for (std::int64_t m = 0; m < s.rows && s.bytes; ++m) {
      const std::vector<double> plain =
          widened({c.y[0]->data() + m * s.n[0], static_cast<std::size_t>(s.n[0])});
      std::vector<double> want = plain;
      for (std::size_t i = 0; i < want.size() && s.extras; ++i)
        want[i] *= static_cast<double>(c.gamma.data()[i]);
      expect_row({bytes.data() + m * Int8Row::size(s.n[0]), s.n[0]}, want, plain, 0, what);
    }
  }
};

TEST_P(GpuLinearFew, Bytes) {
  for (DType type : few_types())
    if (format_info(type).block_length > 1)
      for (const FewShape& shape : shapes(format_info(type).block_length, kBatch))
        check_blocks(type, shape, kBatch);
}

TEST_P(GpuLinearFew, OneRowOfBytes) {
  for (DType type : few_types())
    if (format_info(type).block_length > 1)
      for (const FewShape& shape : single(format_info(type).block_length))
        for (u32 groups : {0U, 2U}) check_blocks(type, shape, 0, groups);
}

TEST_P(GpuLinearFew, OneDenseRow) {
  for (DType type : few_types())
    if (format_info(type).block_length == 1)
      for (const FewShape& shape : single(8))
        for (u32 groups : {0U, 2U}) check_dense(type, shape, groups);
}

MEDLAR_EVERY_ORDER(GpuLinearFew);

}  // namespace
}  // namespace medlar::testing
