// Normalised rows, and rows prepared for products.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>

#include <gtest/gtest.h>

#include "kernels/cpu/activation.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/activations.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

// Relative error of a normalised value: the sum of dim squares over 4 vectors, all positive, then half of
// that for the root, and five roundings.
double norm_error(Isa isa, std::int64_t dim) {
  return (static_cast<double>(dim) / (4 * lanes(isa)) / 2 + 16) * kUlp;
}

}  // namespace

namespace {

// The largest value of a row by its standard deviation.
double largest_by_deviation(std::span<const float> row) {
  const auto dim = static_cast<double>(row.size());
  const double mean = std::accumulate(row.begin(), row.end(), 0.0) / dim;
  double spread = 0, largest = 0;
  for (const float v : row)
    spread += (v - mean) * (v - mean), largest = std::max<double>(largest, std::abs(v));
  return largest / std::sqrt(spread / dim + 1e-5);
}

}  // namespace

// Values lie within m = max|x|: the mean is within dim / lanes + 2 roundings of m, what is left of it moves
// every value alike, and all else is as in rms_norm.
int check_layer_norm(const KernelEntry& entry) {
  Rng rng(9);
  int compared = 0;
  for (const std::int64_t dim : {2, 16, 37, 64, 576, 4096}) {
    for (const std::int64_t tokens : {1, 2, 9}) {
      for (const bool has_bias : {false, true}) {
        std::vector<float> values = rng.normals(tokens * dim, 3);
        for (float& v : values) v += 5;
        const Guarded x(values), weight(rng.normals(dim)), bias(rng.normals(dim));
        const SimpleStep s(tokens);
        std::vector<float> want(values.size());
        std::vector<double> ratios;
        for (std::int64_t t = 0; t < tokens; ++t)
          ratios.push_back(largest_by_deviation(
              std::span(values).subspan(static_cast<std::size_t>(t * dim), static_cast<std::size_t>(dim))));
        LayerNormArgs args{.x = x.floats(),
                           .weight = weight.floats(),
                           .bias = has_bias ? bias.floats() : nullptr,
                           .rows = RowCount::tokens,
                           .dim = dim,
                           .eps = 1e-5f,
                           .y = want.data()};
        run(ref_entry(KernelOp::layer_norm), &args, s.step, 1);
        for (const int threads : {1, 2, 5}) {
          const Guarded y(tokens * dim * 4, 4);
          args.y = y.floats();
          run(entry, &args, s.step, threads);
          EXPECT_TRUE(y.intact());
          const auto bound = [&](std::size_t i) {
            const double w = std::abs(weight.values()[i % static_cast<std::size_t>(dim)]);
            const double steps = static_cast<double>(dim) / lanes(entry.isa) + 16;
            return steps * kUlp *
                       (ratios[i / static_cast<std::size_t>(dim)] * w + 2 * std::abs(want[i]) + 4 * w) +
                   4 * kUlp;
          };
          compared += expect_near(y.values(), want, bound, "layer_norm " + std::to_string(dim));
        }
      }
    }
  }
  return compared;
}

int check_rms_norm(const KernelEntry& entry) {
  Rng rng(6);
  int compared = 0;
  for (const std::int64_t dim : {1, 16, 37, 64, 80, 576, 640, 4096}) {
    for (const std::int64_t per_row : {1, 3}) {
      for (const std::int64_t tokens : {1, 2, 9}) {
        for (const int variant : {0, 1, 2, 3}) {
          const std::int64_t n = tokens * per_row * dim;
          const Guarded x(rng.normals(n, variant == 3 ? 1e-4f : 3)), weight(rng.normals(dim)),
              residual(rng.normals(n));
          const SimpleStep s(tokens);
          std::vector<float> want(static_cast<std::size_t>(n));
          RmsNormArgs args{.x = x.floats(),
                           .weight = variant == 1 ? nullptr : weight.floats(),
                           .residual = variant == 2 ? residual.floats() : nullptr,
                           .rows = RowCount::tokens,
                           .per_row = per_row,
                           .dim = dim,
                           .eps = 1e-5f,
                           .y = want.data()};
          run(ref_entry(KernelOp::rms_norm), &args, s.step, 1);
          for (const int threads : {1, 2, 5}) {
            const Guarded y(n * 4, 4);
            args.y = y.floats();
            run(entry, &args, s.step, threads);
            EXPECT_TRUE(y.intact());
            const auto bound = [&](std::size_t i) {
              const double added = variant == 2 ? residual.values()[i] : 0;
              return norm_error(entry.isa, dim) * std::abs(want[i] - added) + 2 * kUlp * std::abs(want[i]) +
                     1e-37;
            };
            compared += expect_near(y.values(), want, bound, "rms_norm " + std::to_string(dim));
          }
          // In place.
          args.y = x.floats();
          run(entry, &args, s.step, 3);
          EXPECT_TRUE(x.intact());
          compared += expect_near(
              x.values(), want,
              [&](std::size_t i) {
                return (norm_error(entry.isa, dim) + 4 * kUlp) * (std::abs(want[i]) + 4);
              },
              "in place");
        }
      }
    }
  }
  return compared;
}

namespace {

// A code is the nearest, so a value is off by half a scale; then the roundings of value, scale and product.
// An outlier is kept; a value that all but is one may be.
void expect_quantized_block(std::span<const float> x, std::span<const float> meant, double relative) {
  const auto outlier = std::ranges::max_element(x, {}, [](float v) { return std::abs(v); }) - x.begin();
  double energy = 0, second = 0;
  const double top = std::abs(static_cast<double>(x[static_cast<std::size_t>(outlier)]));
  bool finite = true;
  for (std::size_t i = 0; i < x.size(); ++i) {
    finite = finite && std::isfinite(x[i]);
    energy += static_cast<double>(x[i]) * x[i];
    if (static_cast<std::ptrdiff_t>(i) != outlier)
      second = std::max(second, std::abs(static_cast<double>(x[i])));
  }
  const bool squares_fit = energy < 1e38 && top * top > 1e-36;
  const bool apart = squares_fit && top * top > (kOutlierShare + 1e-4) * energy;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!finite) {
      EXPECT_TRUE(std::isnan(meant[i])) << "value " << i << " of a block that is not finite";
      continue;
    }
    const double largest = !apart ? top : static_cast<std::ptrdiff_t>(i) == outlier ? 0 : second;
    const double bound = largest * 0.5 / 127 + top * (relative + 8 * kUlp) + 1e-36;
    EXPECT_LE(std::abs(static_cast<double>(meant[i]) - x[i]), bound) << "value " << i;
  }
}

// Codes in range, sums of what the codes and outliers mean, zeros behind the last value.
void expect_consistent(const Q8Group& group, std::int64_t width) {
  alignas(Q8Group) std::array<std::byte, sizeof group> row;
  std::memcpy(row.data(), &group, sizeof group);
  const std::vector<float> meant = meaning(ActKind::q8, row.data(), kActGroup);
  const auto sum = [&](std::int64_t from, std::int64_t n) {
    return std::accumulate(meant.begin() + from, meant.begin() + from + n, 0.0);
  };
  for (std::int64_t b = 0; b < kActGroup / kActBlock; ++b) {
    if (std::isnan(group.scale[b])) continue;
    const double bound = 40 * kUlp * (32 * 127 * group.scale[b] + std::abs(group.outlier[b]));
    EXPECT_NEAR(group.sum[b], sum(kActBlock * b, kActBlock), bound);
    EXPECT_NEAR(group.half_sum[2 * b], sum(kActBlock * b, 16), bound);
    EXPECT_NEAR(group.half_sum[2 * b + 1], sum(kActBlock * b + 16, 16), bound);
    if (kActBlock * b >= width) {
      EXPECT_EQ(group.scale[b], 0);
    }
    EXPECT_EQ(group.outliers >> b & 1, group.outlier[b] != 0 ? 1 : 0);
  }
  for (std::int64_t i = 0; i < kActGroup; ++i) {
    EXPECT_GE(group.q[i], -127);
    if (i >= width) {
      EXPECT_EQ(group.q[i], 0);
    }
  }
}

struct PrepareCase {
  std::int64_t vectors, width;
  bool norm, weighted;
  std::int64_t per_row = 1;
  bool own = false;  // each thread makes a copy for itself
};

int check_prepared(const KernelEntry& entry, ActKind kind, const PrepareCase& c,
                   const std::vector<float>& values) {
  Rng rng(7);
  const Guarded x(values), weight(rng.normals(c.width));
  const SimpleStep s(c.vectors / c.per_row);
  PrepareArgs args{.x = x.floats(),
                   .norm = c.norm,
                   .norm_weight = c.weighted ? weight.floats() : nullptr,
                   .eps = 1e-6f,
                   .rows = RowCount::tokens,
                   .width = c.width,
                   .kind = ActKind::f32,
                   .batch = Batch::none,
                   .packed = false,
                   .y = nullptr,
                   .per_row = c.per_row};
  const auto exact_bytes = static_cast<std::int64_t>(act_bytes(ActKind::f32, c.width));
  const Guarded want(c.vectors * exact_bytes, 64);
  args.y = want.data();
  run(ref_entry(KernelOp::prepare), &args, s.step, 1);

  args.kind = kind;
  const auto bytes = static_cast<std::int64_t>(act_bytes(kind, c.width));
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const std::int64_t vectors = c.own ? threads : c.vectors;
    const Guarded y(vectors * bytes, 64);
    args.y = y.data();
    args.copy_bytes = c.own ? bytes : 0;
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    const double relative = c.norm ? norm_error(entry.isa, c.width) : 0;
    for (std::int64_t m = 0; m < vectors; ++m) {
      const std::vector<float> meant = meaning(kind, y.data() + m * bytes, c.width);
      const std::int64_t place = c.own ? 0 : m;
      const std::span<const float> row{reinterpret_cast<const float*>(want.data() + place * exact_bytes),
                                       meant.size()};
      if (kind == ActKind::f32) {
        compared += expect_near(
            meant, row, [&](std::size_t i) { return relative * std::abs(row[i]) + (c.norm ? 1e-37 : 0); },
            "prepare");
        continue;
      }
      for (std::size_t b = 0; b < meant.size(); b += kActBlock)
        expect_quantized_block(row.subspan(b, kActBlock), std::span(meant).subspan(b, kActBlock), relative);
      const auto* groups = reinterpret_cast<const Q8Group*>(y.data() + m * bytes);
      for (std::int64_t g = 0; g * kActGroup < c.width; ++g)
        expect_consistent(groups[g], c.width - g * kActGroup);
      compared += static_cast<int>(meant.size());
    }
  }
  return compared;
}

}  // namespace

int check_prepare(const KernelEntry& entry) {
  Rng rng(8);
  int compared = entry.isa == Isa::amx ? check_prepare_tiles(entry) : 0;
  for (const ActKind kind : {ActKind::f32, ActKind::q8}) {
    for (const std::int64_t width : {256, 512, 2048, 32, 576, 640}) {
      for (const std::int64_t tokens : {1, 2, 9}) {
        for (const bool norm : {false, true}) {
          const std::vector<float> values = rng.heavy_tailed(tokens * width);
          compared += check_prepared(entry, kind, {tokens, width, norm, true}, values);
          compared += check_prepared(entry, kind, {tokens, width, norm, false}, values);
          if (tokens == 1) compared += check_prepared(entry, kind, {1, width, norm, true, 1, true}, values);
        }
      }
    }
    std::vector<float> values = rng.normals(8 * 512);
    const float scales[] = {1e-44f, 1e-38f, 1e-36f, 1e30f, 0.0f, 1.0f, 1e-20f, 1.0f};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= scales[i / 512];
    values[5 * 512 + 3] = std::numeric_limits<float>::quiet_NaN();
    values[7 * 512 + 300] = -std::numeric_limits<float>::infinity();
    for (const std::int64_t per_row : {1, 4})
      compared += check_prepared(entry, kind, {8, 512, false, false, per_row}, values);
  }
  return compared;
}

}  // namespace medlar::kernels::testing
