// Rotation, cache writes, and both together with the norms of q and k.
#include <cmath>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "formats/all.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/cache.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

// Sine and cosine to 2^-23, times the magnitude; two products and a sum: of the pair's size in all.
constexpr double kTurnError = 2 * 0x1p-23 + 6 * kUlp;

std::vector<float> frequencies(std::int64_t rope_dim, float base) {
  std::vector<float> f(static_cast<std::size_t>(rope_dim / 2));
  for (std::size_t i = 0; i < f.size(); ++i) {
    f[i] = std::pow(base, -2 * static_cast<float>(i) / static_cast<float>(rope_dim));
  }
  return f;
}

struct Head {
  std::int64_t dim, rope_dim;
  std::int64_t first = 0;
};
constexpr Head kHeads[] = {{64, 64}, {80, 80},       {96, 32},    {128, 128}, {256, 256},
                           {64, 20}, {192, 64, 128}, {20, 8, 12}, {32, 2}};

// One step from the value in units of the block's scale: a tie may be rounded the other way, and what is
// encoded may itself be off by `error`.
double storage_error(DType type, std::span<const float> row, std::size_t i, double error) {
  const std::size_t block = i / 32 * 32;
  double top = 0;
  for (std::size_t j = block; j < std::min(row.size(), block + 32); ++j)
    top = std::max<double>(top, std::abs(row[j]));
  switch (type) {
    case DType::f32:
      return error;
    case DType::f16:
      return error + 0x1p-10 * std::abs(row[i]) + 0x1p-24;
    case DType::bf16:
      return error + 0x1p-7 * std::abs(row[i]);
    case DType::q8_0:
      return error + top / 127 * 1.01;
    default:
      return error + top / 8 * 1.01;  // q4_0
  }
}

}  // namespace

int check_rope(const KernelEntry& entry) {
  Rng rng(10);
  int compared = 0;
  for (const Head head : kHeads) {
    for (const RopeStyle style : {RopeStyle::adjacent, RopeStyle::halves}) {
      for (const std::int64_t tokens : {1, 3, 9}) {
        constexpr std::int64_t kHeadCount = 3;
        const std::int64_t n = tokens * kHeadCount * head.dim;
        const Guarded x(rng.normals(n)), inv_freq(frequencies(head.rope_dim, 10000));
        SimpleStep s(tokens);
        for (std::int32_t& p : s.positions) p = static_cast<std::int32_t>(rng.below(131072));
        std::vector<float> want(static_cast<std::size_t>(n));
        RopeArgs args{.x = x.floats(),
                      .heads = kHeadCount,
                      .head_dim = head.dim,
                      .rope_dim = head.rope_dim,
                      .style = style,
                      .inv_freq = inv_freq.floats(),
                      .magnitude = 1.2f,
                      .y = want.data(),
                      .first = head.first};
        run(ref_entry(KernelOp::rope), &args, s.step, 1);
        // A pair's size is at most that of the head's largest two values.
        const auto bound = [&](std::size_t) { return kTurnError * 1.2 * 2 * 6; };
        for (const int threads : {1, 2, 5}) {
          const Guarded y(n * 4, 4);
          args.y = y.floats();
          run(entry, &args, s.step, threads);
          EXPECT_TRUE(y.intact());
          compared += expect_near(y.values(), want, bound, "rope " + std::to_string(head.dim));
        }
        args.y = x.floats();
        run(entry, &args, s.step, 2);
        compared += expect_near(x.values(), want, bound, "rope in place");
      }
    }
  }
  return compared;
}

namespace {

// The rows that the step writes are near the reference's, and not a byte beside them has changed.
int expect_written(const Cache& got, const Cache& want, const Cache& before, const Step& step,
                   const std::function<double(std::size_t)>& error) {
  int compared = 0;
  std::vector<std::byte> rest(got.memory().bytes().begin(), got.memory().bytes().end());
  const KvPages& pages = got.pages();
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    for (std::int64_t h = 0; h < pages.heads; ++h) {
      const std::int64_t sequence = step.sequences[t], position = step.positions[t];
      const std::vector<float> row = want.values(sequence, position, h);
      compared += expect_near(
          got.values(sequence, position, h), row,
          [&](std::size_t i) { return storage_error(pages.type, row, i, error(i)); }, "cache row");
      const auto at = got.row(sequence, position, h) - pages.base;
      std::memcpy(&rest[static_cast<std::size_t>(at)], before.row(sequence, position, h),
                  static_cast<std::size_t>(pages.row_bytes));
    }
  }
  EXPECT_EQ(std::memcmp(rest.data(), before.memory().data(), rest.size()), 0) << "wrote beside its rows";
  EXPECT_TRUE(got.memory().intact());
  return compared;
}

}  // namespace

int check_kv_write(const KernelEntry& entry) {
  Rng rng(11);
  int compared = 0;
  for (const std::int64_t dim : {32, 64, 80, 96, 128, 256}) {
    if (dim % format_info(entry.type).block_length != 0) continue;
    const BatchStep batch({5, 1, 3}, {61, 0, 128});
    Step step = batch.step;
    const Cache before({entry.type, 3, dim}, 3, 140, rng);
    step.pages[2] = before.table();
    const Guarded x(rng.normals(step.tokens * 3 * dim, 2));
    Cache want(before);
    KvWriteArgs args{.x = x.floats(), .to = want.pages(), .group = 2};
    run(ref_entry(KernelOp::kv_write, entry.type), &args, step, 1);
    for (const int threads : {1, 2, 5}) {
      Cache got(before);
      args.to = got.pages();
      run(entry, &args, step, threads);
      compared += expect_written(got, want, before, step, [](std::size_t) { return 0.0; });
    }
  }
  return compared;
}

namespace {

struct ReadyCase {
  std::int64_t heads, kv_heads;
  Head head;
  RopeStyle style;
  bool norms;
};
constexpr ReadyCase kReadyCases[] = {
    {4, 4, {64, 64}, RopeStyle::adjacent, false}, {9, 3, {64, 64}, RopeStyle::halves, false},
    {4, 1, {256, 256}, RopeStyle::halves, true},  {8, 2, {128, 64}, RopeStyle::halves, true},
    {2, 2, {96, 96}, RopeStyle::adjacent, true},  {4, 2, {64, 0}, RopeStyle::halves, true},
};

int check_ready(const KernelEntry& entry, const ReadyCase& c, std::int64_t tokens, Rng& rng) {
  const std::int64_t dim = c.head.dim;
  const BatchStep batch({tokens, 1}, {60, 7});
  Step step = batch.step;
  const Cache k_before({entry.type, c.kv_heads, dim}, 2, 160, rng);
  step.pages[0] = k_before.table();
  const std::vector<float> q_values = rng.normals(step.tokens * c.heads * dim);
  const Guarded k(rng.normals(step.tokens * c.kv_heads * dim)),
      v(rng.normals(step.tokens * c.kv_heads * dim));
  const Guarded q_norm(rng.normals(dim)), k_norm(rng.normals(dim)),
      inv_freq(frequencies(std::max<std::int64_t>(2, c.head.rope_dim), 1e6f));
  AttendPrepareArgs args{.q = nullptr,
                         .k = k.floats(),
                         .v = v.floats(),
                         .heads = c.heads,
                         .head_dim = dim,
                         .q_norm = c.norms ? q_norm.floats() : nullptr,
                         .k_norm = c.norms ? k_norm.floats() : nullptr,
                         .eps = 1e-6f,
                         .rope_dim = c.head.rope_dim,
                         .style = c.style,
                         .inv_freq = inv_freq.floats(),
                         .magnitude = 1,
                         .k_to = {},
                         .v_to = {},
                         .group = 0};
  Guarded q_want(q_values);
  Cache k_want(k_before), v_want(k_before);
  args.q = q_want.floats(), args.k_to = k_want.pages(), args.v_to = v_want.pages();
  run(ref_entry(KernelOp::attend_prepare, entry.type), &args, step, 1);
  // Values of a head are at most 4 (6 standard deviations) times the norm weight; normalising is off by
  // dim / lanes / 8 + 8 roundings.
  const double size = c.norms ? 4 * 4 : 6;
  const double error = size * (2 * kTurnError + (static_cast<double>(dim) / 8 + 8) * kUlp);
  int compared = 0;
  for (const int threads : {1, 2, 7}) {
    const Guarded q(q_values);
    Cache k_got(k_before), v_got(k_before);
    args.q = q.floats(), args.k_to = k_got.pages(), args.v_to = v_got.pages();
    run(entry, &args, step, threads);
    EXPECT_TRUE(q.intact());
    compared += expect_near(q.values(), q_want.values(), [&](std::size_t) { return error; }, "q");
    compared += expect_written(k_got, k_want, k_before, step, [&](std::size_t) { return error; });
    compared += expect_written(v_got, v_want, k_before, step, [](std::size_t) { return 0.0; });
  }
  return compared;
}

}  // namespace

int check_attend_prepare(const KernelEntry& entry) {
  Rng rng(12);
  int compared = 0;
  for (const ReadyCase& c : kReadyCases) {
    for (const std::int64_t tokens : {1, 6, 33}) compared += check_ready(entry, c, tokens, rng);
  }
  return compared;
}

}  // namespace medlar::kernels::testing
