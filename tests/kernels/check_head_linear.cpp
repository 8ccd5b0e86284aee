// Products of each head with a matrix of its own, and what passes through beside them.
#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {
namespace {

struct Case {
  std::int64_t heads, n, k, rest, tokens;
};
constexpr Case kCases[] = {{4, 24, 256, 64, 1}, {1, 1, 512, 0, 3}, {3, 70, 256, 8, 9}, {5, 33, 256, 0, 70}};

int check_case(const KernelEntry& entry, const Case& c, DType type, Rng& rng) {
  const std::int64_t bytes = row_bytes(type, c.k), x_width = c.k + c.rest, y_width = c.n + c.rest;
  const std::vector<std::byte> weights = random_weights(type, c.heads * c.n, c.k, rng);
  const Guarded w(std::ssize(weights), format_info(type).block_length == 1 ? sizeof(float) : 1);
  std::ranges::copy(weights, w.data());
  const Guarded x(rng.normals(c.tokens * c.heads * x_width));
  const SimpleStep s(c.tokens);
  std::vector<float> want(static_cast<std::size_t>(c.tokens * c.heads * y_width));
  HeadLinearArgs args{.x = x.floats(),
                      .weight = w.data(),
                      .type = type,
                      .dot = leaf_for(entry.isa, type, ActKind::f32),
                      .rows = RowCount::tokens,
                      .heads = c.heads,
                      .n = c.n,
                      .k = c.k,
                      .rest = c.rest,
                      .y = want.data()};
  run(ref_entry(KernelOp::head_linear), &args, s.step, 1);
  std::vector<float> row(static_cast<std::size_t>(c.k));
  const auto bound = [&](std::size_t i) {
    const auto at = static_cast<std::int64_t>(i) % y_width, head = static_cast<std::int64_t>(i) / y_width;
    if (at >= c.n) return 0.0;
    const std::byte* of = w.data() + (head % c.heads * c.n + at) * bytes;
    decode_row(type, of, row.data(), c.k);
    return dot_bound({entry.isa, type, ActKind::f32}, of, row,
                     x.values().subspan(static_cast<std::size_t>(head * x_width), row.size()));
  };
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const Guarded y(std::ssize(want) * 4, 4);
    args.y = y.floats();
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    compared += expect_near(y.values(), want, bound, "head_linear");
  }
  return compared;
}

}  // namespace

int check_head_linear(const KernelEntry& entry) {
  Rng rng(30);
  int compared = 0;
  for (const Case& c : kCases)
    for (const DType type : {DType::f16, DType::q8_0, DType::q4_k})
      compared += check_case(entry, c, type, rng);
  return compared;
}

}  // namespace medlar::kernels::testing
