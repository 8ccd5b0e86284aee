// rows_dot, and batch_dot, against the reference on the same activations, and the special values of weights.
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/cpu/activation.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/activations.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/factor.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

struct Case {
  std::int64_t n, k, rows;
  bool scratch;  // without it even a batch takes the direct path
};

std::vector<Case> cases_for(const KernelEntry& entry) {
  const std::int64_t block = format_info(entry.type).block_length;
  std::vector<std::int64_t> depths;
  switch (block) {
    case 1:
      depths = {1, 7, 37, 256, 576, 640, 1100};
      break;
    case 32:
      depths = {32, 64, 96, 128, 224, 256, 576, 640, 1056};
      break;
    default:
      depths = {256, 512, 768, 1280, 2048};
      break;
  }
  std::vector<Case> cases;
  for (const std::int64_t k : depths) {
    for (const std::int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 33}) cases.push_back({19, k, rows, true});
    for (const std::int64_t n : {1, 16, 33}) {
      cases.push_back({n, k, 1, true});
      cases.push_back({n, k, 14, true});
    }
    cases.push_back({5, k, 11, false});
  }
  cases.push_back({150, depths.back(), 64, true});
  if (entry.op == KernelOp::batch_dot) cases.push_back({600, 1280, 70, true});  // strips and stretches
  return cases;
}

struct Product {
  std::vector<float> got, want;
  std::vector<double> bounds;
};

Product multiply(const KernelEntry& entry, const Case& c, std::span<const std::byte> weights,
                 const Activations& x) {
  const std::int64_t bytes = row_bytes(entry.type, c.k);
  const Guarded w(static_cast<std::int64_t>(weights.size()),
                  format_info(entry.type).block_length == 1 ? sizeof(float) : 1);
  std::ranges::copy(weights, w.data());
  const std::int64_t ldy = c.n + 3;
  const Guarded y(c.rows * ldy * 4, 4);
  std::ranges::fill(y.values(), 777.0f);
  const std::int64_t wanted = entry.op == KernelOp::batch_dot ? kBatchDotScratch : 1 << 18;
  const Guarded scratch(c.scratch ? wanted : 0, 64);
  entry.rows_dot({.weight = w.data(),
                  .row_bytes = bytes,
                  .n = c.n,
                  .k = c.k,
                  .x = x.prepared.data(),
                  .rows = c.rows,
                  .y = y.floats(),
                  .ldy = ldy,
                  .scratch = scratch.bytes()});
  EXPECT_TRUE(y.intact() && scratch.intact());

  Product p;
  p.want.resize(static_cast<std::size_t>(c.rows * c.n));
  ref_entry(KernelOp::rows_dot, entry.type)
      .rows_dot({.weight = weights.data(),
                 .row_bytes = bytes,
                 .n = c.n,
                 .k = c.k,
                 .x = x.exact.data(),
                 .rows = c.rows,
                 .y = p.want.data(),
                 .ldy = c.n,
                 .scratch = {}});
  std::vector<float> row(static_cast<std::size_t>(c.k));
  std::vector<double> transposed;
  for (std::int64_t j = 0; j < c.n; ++j) {
    decode_row(entry.type, weights.data() + j * bytes, row.data(), c.k);
    for (std::int64_t m = 0; m < c.rows; ++m) {
      transposed.push_back(
          dot_bound({entry.isa, entry.type, entry.act}, weights.data() + j * bytes, row, x.row(m)));
    }
  }
  for (std::int64_t m = 0; m < c.rows; ++m) {
    for (std::int64_t j = 0; j < c.n; ++j) {
      p.got.push_back(y.values()[static_cast<std::size_t>(m * ldy + j)]);
      p.bounds.push_back(transposed[static_cast<std::size_t>(j * c.rows + m)]);
    }
    for (std::int64_t j = c.n; j < ldy; ++j) {
      EXPECT_EQ(y.values()[static_cast<std::size_t>(m * ldy + j)], 777.0f) << "wrote past the columns";
    }
  }
  return p;
}

std::string text(const Case& c) {
  return "n " + std::to_string(c.n) + ", k " + std::to_string(c.k) + ", rows " + std::to_string(c.rows) +
         (c.scratch ? "" : ", no scratch");
}

// Activations at the codes' extremes: +-127 everywhere, weights random.
int check_extremes(const KernelEntry& entry, Rng& rng) {
  const Case c{8, std::max<std::int64_t>(512, format_info(entry.type).block_length), 10, true};
  std::vector<float> values(static_cast<std::size_t>(c.rows * c.k));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = i / 512 % 2 == 0 || rng.below(2) == 0 ? 1.0f : -1.0f;
  const Activations x(entry.act, values, c.rows, c.k);
  std::vector<std::byte> weights = random_weights(entry.type, c.n, c.k, rng);
  // Half the rows have every code at its top or bottom.
  formats::visit(entry.type, [&]<formats::Format F>(F) {
    if constexpr (requires(typename F::Block b) { b.codes; }) {
      const std::size_t half = weights.size() / 2 / sizeof(typename F::Block) * sizeof(typename F::Block);
      for (std::size_t at = 0; at < half; at += sizeof(typename F::Block)) {
        typename F::Block b;
        std::memcpy(&b, &weights[at], sizeof b);
        std::memset(b.codes, at % 4 < 2 ? 0xFF : 0x80, sizeof b.codes);
        if constexpr (requires { b.high; }) std::memset(b.high, 0xFF, sizeof b.high);
        std::memcpy(&weights[at], &b, sizeof b);
      }
    }
  });
  const Product p = multiply(entry, c, weights, x);
  return expect_near(p.got, p.want, [&](std::size_t i) { return p.bounds[i]; }, "extremes");
}

// A block with an infinite or NaN scale spoils its own row and no other.
int check_special_weights(const KernelEntry& entry, Rng& rng) {
  const Case c{6, 512, 10, true};
  const Activations x(entry.act, rng.heavy_tailed(c.rows * c.k), c.rows, c.k);
  std::vector<std::byte> weights = random_weights(entry.type, c.n, c.k, rng);
  formats::visit(entry.type, [&]<formats::Format F>(F) {
    typename F::Block b;
    const std::size_t row = weights.size() / static_cast<std::size_t>(c.n);
    for (const std::size_t j : {1, 4}) {
      std::memcpy(&b, &weights[j * row], sizeof b);
      const std::uint16_t special = j == 1 ? 0x7C00 : 0x7E00;  // f16 infinity, NaN
      if constexpr (requires { set_factor(b, special); }) set_factor(b, special);
      std::memcpy(&weights[j * row], &b, sizeof b);
    }
  });
  const Product p = multiply(entry, c, weights, x);
  for (std::size_t i = 0; i < p.want.size(); ++i) {
    EXPECT_EQ(std::isfinite(p.got[i]), std::isfinite(p.want[i])) << "special weights, element " << i;
  }
  return static_cast<int>(p.want.size());
}

// Activations of every size, denormal to huge, and rows with a NaN or an infinity.
int check_special_activations(const KernelEntry& entry, Rng& rng) {
  const Case c{5, 512, 12, true};
  std::vector<float> values = rng.heavy_tailed(c.rows * c.k);
  const float scales[] = {1e-44f, 1e-38f, 1e-30f, 1e30f, 0.0f, 1.0f};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= scales[i / 512 % 6];
  values[5 * 512 + 17] = std::numeric_limits<float>::infinity();
  values[11 * 512 + 200] = std::numeric_limits<float>::quiet_NaN();
  const Activations x(entry.act, values, c.rows, c.k);
  const Product p = multiply(entry, c, random_weights(entry.type, c.n, c.k, rng), x);
  for (const std::size_t spoilt : {5, 11}) {
    for (std::size_t j = 0; j < 5; ++j)
      EXPECT_FALSE(std::isfinite(p.got[spoilt * 5 + j])) << "row " << spoilt;
  }
  return expect_near(p.got, p.want, [&](std::size_t i) { return p.bounds[i]; }, "special activations");
}

}  // namespace

int check_rows_dot(const KernelEntry& entry) {
  Rng rng(static_cast<std::uint64_t>(entry.type) * 100 + static_cast<std::uint64_t>(entry.act));
  int compared = 0;
  for (const Case& c : cases_for(entry)) {
    const Activations x(entry.act, rng.heavy_tailed(c.rows * c.k), c.rows, c.k);
    const Product p = multiply(entry, c, random_weights(entry.type, c.n, c.k, rng), x);
    compared += expect_near(p.got, p.want, [&](std::size_t i) { return p.bounds[i]; }, text(c));
  }
  return compared + check_extremes(entry, rng) + check_special_weights(entry, rng) +
         check_special_activations(entry, rng);
}

}  // namespace medlar::kernels::testing
