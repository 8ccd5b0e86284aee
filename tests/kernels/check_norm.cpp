// Normalised rows, and rows prepared for products.
#include <cmath>
#include <cstring>
#include <limits>

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
void expect_quantized(std::span<const float> x, std::span<const float> meant, std::int64_t block,
                      double relative) {
  for (std::size_t b = 0; b < x.size(); b += static_cast<std::size_t>(block)) {
    const std::size_t end = std::min(x.size(), b + static_cast<std::size_t>(block));
    float top = 0;
    bool finite = true;
    for (std::size_t i = b; i < end; ++i) {
      top = std::max(top, std::abs(x[i]));
      finite = finite && std::isfinite(x[i]);
    }
    for (std::size_t i = b; i < end; ++i) {
      if (!finite) {
        EXPECT_TRUE(std::isnan(meant[i])) << "value " << i << " of a block that is not finite";
        continue;
      }
      const double bound = top * (0.5 / 127 + relative + 8 * kUlp) + 1e-36;
      EXPECT_LE(std::abs(static_cast<double>(meant[i]) - x[i]), bound) << "value " << i;
    }
  }
}

// Codes in range, sums as they should be, zeros behind the last value.
void expect_consistent(ActKind kind, const std::byte* row, std::int64_t width) {
  for (std::int64_t g = 0; g * kActGroup < width; ++g) {
    for (std::int64_t i = 0; i < kActGroup; ++i) {
      const std::int8_t q = static_cast<std::int8_t>(row[g * 320 + i]);
      EXPECT_GE(q, -127);
      if (g * kActGroup + i >= width) {
        EXPECT_EQ(q, 0);
      }
    }
    const auto sum = [&](std::int64_t from, std::int64_t n) {
      int total = 0;
      for (std::int64_t i = from; i < from + n; ++i) total += static_cast<std::int8_t>(row[g * 320 + i]);
      return total;
    };
    if (kind == ActKind::q8_32) {
      const auto& group = reinterpret_cast<const Q8x32*>(row)[g];
      for (int b = 0; b < 8; ++b) {
        if (std::isnan(group.scale[b])) continue;
        EXPECT_EQ(group.sum[b], group.scale[b] * static_cast<float>(sum(32 * b, 32)));
        if (g * kActGroup + 32 * b >= width) {
          EXPECT_EQ(group.scale[b], 0);
        }
      }
    } else {
      const auto& group = reinterpret_cast<const Q8x256*>(row)[g];
      for (int b = 0; b < 16; ++b) EXPECT_EQ(group.sum16[b], sum(16 * b, 16));
      for (int b = 0; b < 8; ++b) EXPECT_EQ(group.sum32[b], sum(32 * b, 32));
    }
  }
}

struct PrepareCase {
  std::int64_t tokens, width;
  bool norm, weighted;
};

int check_prepared(const KernelEntry& entry, ActKind kind, const PrepareCase& c,
                   const std::vector<float>& values) {
  Rng rng(7);
  const Guarded x(values), weight(rng.normals(c.width));
  const SimpleStep s(c.tokens);
  PrepareArgs args{.x = x.floats(),
                   .norm = c.norm,
                   .norm_weight = c.weighted ? weight.floats() : nullptr,
                   .eps = 1e-6f,
                   .rows = RowCount::tokens,
                   .width = c.width,
                   .kind = ActKind::f32,
                   .y = nullptr};
  const auto exact_bytes = static_cast<std::int64_t>(act_bytes(ActKind::f32, c.width));
  const Guarded want(c.tokens * exact_bytes, 64);
  args.y = want.data();
  run(ref_entry(KernelOp::prepare), &args, s.step, 1);

  args.kind = kind;
  const auto bytes = static_cast<std::int64_t>(act_bytes(kind, c.width));
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const Guarded y(c.tokens * bytes, 64);
    args.y = y.data();
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    const double relative = c.norm ? norm_error(entry.isa, c.width) : 0;
    for (std::int64_t m = 0; m < c.tokens; ++m) {
      const std::vector<float> meant = meaning(kind, y.data() + m * bytes, c.width);
      const std::span<const float> row{reinterpret_cast<const float*>(want.data() + m * exact_bytes),
                                       meant.size()};
      if (kind == ActKind::f32) {
        compared += expect_near(
            meant, row, [&](std::size_t i) { return relative * std::abs(row[i]) + (c.norm ? 1e-37 : 0); },
            "prepare");
        continue;
      }
      expect_quantized(row, meant, kind == ActKind::q8_32 ? 32 : 256, relative);
      expect_consistent(kind, y.data() + m * bytes, c.width);
      compared += static_cast<int>(meant.size());
    }
  }
  return compared;
}

}  // namespace

int check_prepare(const KernelEntry& entry) {
  Rng rng(8);
  int compared = 0;
  for (const ActKind kind : {ActKind::f32, ActKind::q8_32, ActKind::q8_256}) {
    for (const std::int64_t width : {256, 512, 2048, 32, 576, 640}) {
      if (kind == ActKind::q8_256 && width % 256 != 0) continue;
      for (const std::int64_t tokens : {1, 2, 9}) {
        for (const bool norm : {false, true}) {
          const std::vector<float> values = rng.normals(tokens * width, 2);
          compared += check_prepared(entry, kind, {tokens, width, norm, true}, values);
          compared += check_prepared(entry, kind, {tokens, width, norm, false}, values);
        }
      }
    }
    std::vector<float> values = rng.normals(8 * 512);
    const float scales[] = {1e-44f, 1e-38f, 1e-36f, 1e30f, 0.0f, 1.0f, 1e-20f, 1.0f};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= scales[i / 512];
    values[5 * 512 + 3] = std::numeric_limits<float>::quiet_NaN();
    values[7 * 512 + 300] = -std::numeric_limits<float>::infinity();
    compared += check_prepared(entry, kind, {8, 512, false, false}, values);
  }
  return compared;
}

}  // namespace medlar::kernels::testing
