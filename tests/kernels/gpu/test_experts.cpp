// Mixtures of experts against the references: the choice, the order of pairs, and products of every weight
// format with stacked matrices, for steps in which some experts have many rows and others none.
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/ref/ref.h"
#include "tests/kernels/gpu/harness.h"

namespace medlar::testing {
namespace {

using namespace kernels;  // NOLINT: their references

class GpuExperts : public OnEmulator {};

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// `rows` rows of logits: the first of equal ones, then ones far apart, then such that are no numbers.
std::vector<float> odd_logits(std::int64_t experts, std::mt19937& random) {
  std::vector<float> odd = random_floats(6 * static_cast<std::size_t>(experts), random, 60);
  for (std::int64_t e = 0; e < experts; ++e) {
    odd[static_cast<std::size_t>(e)] = 1;
    odd[static_cast<std::size_t>(experts + e)] = static_cast<float>(e % 3);
  }
  odd[static_cast<std::size_t>(2 * experts)] = -kInf;
  odd[static_cast<std::size_t>(3 * experts + experts / 2)] = kNan;
  odd[static_cast<std::size_t>(4 * experts)] = kInf;
  return odd;
}

TEST_P(GpuExperts, Choice) {
  for (const std::int64_t experts : {1, 3, 37, 128, 300})
    for (const std::int64_t used : {std::int64_t{1}, (experts + 3) / 4, experts})
      for (const bool normalize : {false, true})
        for (const bool odd : {false, true}) {
          const std::vector<float> values =
              odd ? odd_logits(experts, random)
                  : random_floats(static_cast<std::size_t>(5 * experts), random, 3);
          const Guarded<float> logits(values);
          const TestStep step = tokens_only(values.size() / static_cast<std::size_t>(experts));
          const auto counts = step.counts();
          Guarded<float> y(values.size(), NAN);
          launch("route", {to_u32(counts.tokens) + 1},
                 gpu::RouteParams{gpu::kRowsTokens, to_u32(experts), to_u32(used), normalize,
                                  gpu::kScoreSoftmax, 0, 1, 1, 1, 1},
                 {&counts, logits.data(), logits.data(), y.data()});
          std::vector<float> want(values.size());
          const RouteArgs args{.logits = logits.data(),
                               .rows = RowCount::tokens,
                               .experts = experts,
                               .used = used,
                               .normalize = normalize,
                               .y = want.data()};
          ref_entry(KernelOp::route).step(&args, step.host(), {});
          for (std::size_t i = 0; i < want.size(); ++i) {
            ASSERT_EQ(y[i] != 0, want[i] != 0) << experts << " experts, weight " << i;
            if (std::isnan(want[i])) {
              EXPECT_TRUE(std::isnan(y[i])) << i;
              continue;
            }
            // Differences of up to 104 are rounded before the exponential, and `experts` terms are added up.
            const double bound = static_cast<double>(experts + 120) * 0x1p-23 * want[i] + 1e-37;
            ASSERT_NEAR(y[i], want[i], bound) << experts << " experts, weight " << i;
          }
        }
}

// Sigmoids, biases that choose, groups and a scale, on logits that are far enough apart to be ordered alike.
TEST_P(GpuExperts, ChoiceByScores) {
  struct Choice {
    std::int64_t experts, used, groups, groups_used, group_best;
  };
  for (const Choice& c : {Choice{8, 2, 1, 1, 1}, {8, 4, 4, 2, 2}, {64, 6, 8, 3, 2}, {6, 1, 6, 1, 1}})
    for (const RouteScore score : {RouteScore::softmax, RouteScore::sigmoid})
      for (const bool normalize : {false, true})
        for (const bool biased : {false, true}) {
          const auto n = static_cast<std::size_t>(c.experts);
          const Guarded<float> logits(random_floats(7 * n, random)), bias(random_floats(n, random));
          const TestStep step = tokens_only(7);
          const auto counts = step.counts();
          Guarded<float> y(logits.size(), NAN);
          launch("route", {8},
                 gpu::RouteParams{gpu::kRowsTokens, to_u32(c.experts), to_u32(c.used), normalize,
                                  static_cast<u32>(score), biased, to_u32(c.groups), to_u32(c.groups_used),
                                  to_u32(c.group_best), 2.5F},
                 {&counts, logits.data(), bias.data(), y.data()});
          std::vector<float> want(y.size());
          const RouteArgs args{.logits = logits.data(),
                               .bias = biased ? bias.data() : nullptr,
                               .rows = RowCount::tokens,
                               .experts = c.experts,
                               .used = c.used,
                               .score = score,
                               .normalize = normalize,
                               .groups = c.groups,
                               .groups_used = c.groups_used,
                               .group_best = c.group_best,
                               .scale = 2.5F,
                               .y = want.data()};
          ref_entry(KernelOp::route).step(&args, step.host(), {});
          expect_close(y.span(), want, 1e-5, 0, fmt::format("{} of {} experts", c.used, c.experts));
        }
}

enum class Pattern {
  random,  // as a router chooses
  one,     // every row uses the same expert only
  ragged,  // up to `used`
};

struct Mixture {
  std::int64_t experts, used, tokens;
  Pattern pattern = Pattern::random;
};

const Mixture kMixtures[] = {{4, 2, 1},
                             {8, 3, 2},
                             {5, 5, 9},
                             {128, 8, 3},
                             {1, 1, 20},
                             {300, 4, 7},
                             {7, 3, 13, Pattern::ragged},
                             {3, 2, 70, Pattern::one},
                             {2, 1, 150}};

std::vector<float> weights_of(const Mixture& m, std::mt19937& random) {
  std::vector<float> weights(static_cast<std::size_t>(m.tokens * m.experts));
  std::uniform_real_distribution<float> share(0.1F, 1.1F);
  std::vector<std::size_t> order(static_cast<std::size_t>(m.experts));
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::int64_t row = 0; row < m.tokens; ++row) {
    if (m.pattern != Pattern::one) std::shuffle(order.begin(), order.end(), random);
    const std::int64_t some = m.pattern == Pattern::one      ? 1
                              : m.pattern == Pattern::ragged ? row % (m.used + 1)
                                                             : m.used;
    for (std::int64_t i = 0; i < some; ++i)
      weights[static_cast<std::size_t>(row * m.experts) + order[static_cast<std::size_t>(i)]] = share(random);
  }
  return weights;
}

// What expert_pairs makes of the weights, in blocks of up to `block_rows`.
struct Pairs {
  Mixture m;
  std::int64_t block_rows;
  Guarded<float> weights;
  std::int64_t room, most_blocks;
  Guarded<gpu::ExpertBlock> blocks;
  Guarded<i32> rows, places;
  gpu::StepCounts counts;

  Pairs(const Mixture& mixture, std::int64_t rows_of_block, std::mt19937& random, Launcher& launch)
      : m(mixture),
        block_rows(rows_of_block),
        weights(weights_of(m, random)),
        room(m.tokens * m.used),
        most_blocks(std::min(m.experts, room) + (room - std::min(m.experts, room)) / block_rows),
        blocks(static_cast<std::size_t>(most_blocks), {9999, 9999, 9999}),
        rows(static_cast<std::size_t>(room), -1),
        places(weights.size(), -1),
        counts(tokens_only(static_cast<std::size_t>(m.tokens)).counts()) {
    launch(
        "expert_pairs", {},
        gpu::ExpertPairsParams{gpu::kRowsTokens, to_u32(m.experts), to_u32(block_rows), to_u32(most_blocks)},
        {&counts, weights.data(), blocks.data(), rows.data(), places.data()});
  }
  Routing routing() const { return {weights.data(), RowCount::tokens, m.experts, m.used}; }
};

TEST_P(GpuExperts, PairsByExpertThenByRow) {
  for (const Mixture& m : kMixtures)
    for (const std::int64_t block_rows : {1, 8, 64}) {
      const Pairs p(m, block_rows, random, launch);
      const std::string what = fmt::format("{} experts, {} tokens", m.experts, m.tokens);
      std::vector<gpu::ExpertBlock> want;
      std::int64_t pair = 0;
      for (std::int64_t e = 0; e < m.experts; ++e) {
        std::int64_t count = 0;
        for (std::int64_t row = 0; row < m.tokens; ++row) {
          const auto at = static_cast<std::size_t>(row * m.experts + e);
          if (p.weights.data()[at] == 0) {
            EXPECT_EQ(p.places.data()[at], -1) << what;
            continue;
          }
          if (count++ % block_rows == 0) want.push_back({to_u32(e), to_u32(pair), 0});
          ++want.back().rows;
          ASSERT_EQ(p.rows.data()[pair], row) << what;
          ASSERT_EQ(p.places.data()[at], pair++) << what;
        }
      }
      ASSERT_LE(want.size(), p.blocks.size()) << what;
      for (std::size_t i = 0; i < p.blocks.size(); ++i) {
        const gpu::ExpertBlock& got = p.blocks.data()[i];
        ASSERT_EQ(got.rows, i < want.size() ? want[i].rows : 0) << what << ", block " << i;
        if (i >= want.size()) continue;
        EXPECT_EQ(got.expert, want[i].expert) << what << ", block " << i;
        EXPECT_EQ(got.first, want[i].first) << what << ", block " << i;
      }
    }
}

// Stacked matrices (experts, n, k), and for any of their products the sum of magnitudes that rounding errors
// scale with.
struct Stack {
  DType type;
  std::int64_t n, k;
  Guarded<std::byte> bytes;
  Guarded<float> bias;  // (experts, n)
  std::vector<float> values;

  Stack(DType t, std::int64_t experts, std::int64_t rows, std::int64_t columns, std::mt19937& random)
      : type(t),
        n(rows),
        k(columns),
        bytes(random_rows(t, experts * rows, columns, random)),
        bias(random_floats(static_cast<std::size_t>(experts * rows), random)),
        values(static_cast<std::size_t>(experts * rows * columns)) {
    decode_row(type, bytes.data(), values.data(), experts * n * k);
  }
  ExpertMatrices matrices() const {
    return {bytes.data(), ref_entry(KernelOp::rows_dot, type).rows_dot, type, bias.data()};
  }
  double magnitude(std::int64_t expert, std::int64_t j, const float* x) const {
    double sum = std::abs(bias.data()[expert * n + j]);
    for (std::int64_t i = 0; i < k; ++i)
      sum += std::abs(static_cast<double>(values[static_cast<std::size_t>((expert * n + j) * k + i)]) * x[i]);
    return sum;
  }
};

// Runs products of all pairs with a stack's matrices, by few rows or by tiles. x has a row for each pair or,
// to be gathered, for each token.
struct Products {
  Launcher& launch;
  Pairs& pairs;
  bool tiles;

  std::vector<float> operator()(const Stack& stack, const Guarded<float>& x, bool gather) const {
    const auto& [m, block_rows] = std::tie(pairs.m, pairs.block_rows);
    Guarded<float> y(static_cast<std::size_t>(pairs.room * stack.n));
    const gpu::ExpertLinearParams params{
        {0, to_u32(stack.n), to_u32(stack.k), to_u32(row_bytes(stack.type, stack.k)), 1, 0}, gather};
    const emulator::Extent grid{ceil_div(stack.n, tiles ? 64 : 16), to_u32(pairs.most_blocks)};
    const std::string_view format = format_info(stack.type).name;
    if (!tiles) {
      launch(fmt::format("expert_vec_{}_{}", format, block_rows), grid, params,
             {pairs.blocks.data(), pairs.rows.data(), x.data(), stack.bytes.data(), stack.bias.data(),
              y.data()});
      return {y.data(), y.data() + y.size()};
    }
    const std::int64_t per_row = gather ? 1 : m.used;
    Guarded<u16> halves(static_cast<std::size_t>(m.tokens * per_row * ceil_div(stack.k, 8) * 8));
    Guarded<float> scales(static_cast<std::size_t>(m.tokens * per_row));
    launch("prepare", {to_u32(m.tokens * per_row) + 1},
           gpu::PrepareParams{gpu::kRowsTokens, to_u32(stack.k), 0, 0, 0, to_u32(per_row), 0},
           {&pairs.counts, x.data(), x.data(), halves.data(), scales.data()});
    launch(fmt::format("expert_tile_{}", format), grid, params,
           {pairs.blocks.data(), pairs.rows.data(), halves.data(), scales.data(), stack.bytes.data(),
            stack.bias.data(), y.data()});
    return {y.data(), y.data() + y.size()};
  }
  // Of a product's magnitude; tiles round both factors to f16's eleven bits.
  double relative(const Stack& stack) const {
    const auto k = static_cast<double>(stack.k);
    return tiles ? 0x1p-10 + (k + 16) * 0x1p-24 : (k / 32 + 16) * 0x1p-24;
  }
};

struct Size {
  std::int64_t n, k;
};

// Rows of k values as the references take them, padded.
std::vector<std::byte> padded(const Guarded<float>& x, std::int64_t k) {
  const std::size_t rows = x.size() / static_cast<std::size_t>(k), row = act_bytes(ActKind::f32, k);
  std::vector<std::byte> bytes(rows * row);
  for (std::size_t i = 0; i < rows; ++i)
    std::memcpy(bytes.data() + i * row, x.data() + static_cast<std::int64_t>(i) * k,
                static_cast<std::size_t>(k) * sizeof(float));
  return bytes;
}

// The gated activation of each pair: two products that gather rows, then glu over all pairs at once.
void check_glu(const Products& products, DType type, Size size, std::mt19937& random) {
  const Pairs& pairs = products.pairs;
  const Mixture& m = pairs.m;
  const Stack gate(type, m.experts, size.n, size.k, random), up(type, m.experts, size.n, size.k, random);
  const Guarded<float> x(random_floats(static_cast<std::size_t>(m.tokens * size.k), random));
  std::vector<float> want(static_cast<std::size_t>(pairs.room * size.n), 0);
  const std::vector<std::byte> rows = padded(x, size.k);
  const ExpertGluArgs args{.routing = pairs.routing(),
                           .x = rows.data(),
                           .kind = ActKind::f32,
                           .k = size.k,
                           .n = size.n,
                           .gate = gate.matrices(),
                           .up = up.matrices(),
                           .activation = Activation::silu,
                           .y = want.data()};
  ref_entry(KernelOp::expert_glu).step(&args, tokens_only(static_cast<std::size_t>(m.tokens)).host(), {});
  const std::vector<float> g = products(gate, x, true), u = products(up, x, true);
  const std::string what =
      fmt::format("{} of {} experts, {} tokens", format_info(type).name, m.experts, m.tokens);
  Guarded<float> y(g.size(), 0);
  products.launch("glu", {ceil_div(m.used * size.n, 256), to_u32(m.tokens)},
                  gpu::GluParams{gpu::kRowsTokens, to_u32(m.used * size.n), gpu::kActivationSilu},
                  {&pairs.counts, g.data(), u.data(), y.data()});
  for (std::size_t i = 0; i < want.size(); ++i) {
    const std::size_t p = i / static_cast<std::size_t>(size.n);
    const i32 row = pairs.rows.data()[p];
    if (row < 0) continue;  // past the last pair
    std::int64_t expert = 0;
    while (pairs.places.data()[row * m.experts + expert] != static_cast<i32>(p)) ++expert;
    const auto j = static_cast<std::int64_t>(i) % size.n;
    const double g_bound = products.relative(gate) * gate.magnitude(expert, j, x.data() + row * size.k);
    const double u_bound = products.relative(up) * up.magnitude(expert, j, x.data() + row * size.k);
    // An activation's slope is at most 1.2.
    const double bound = 1.2 * g_bound * (std::abs(u[i]) + u_bound) + std::abs(g[i]) * u_bound +
                         1e-5 * std::abs(g[i] * u[i]) + 1e-6;
    ASSERT_NEAR(y[i], want[i], bound) << what << ", element " << i;
  }
}

// The weighted sum of each row's pairs.
void check_sum(const Products& products, DType type, Size size, bool residual, std::mt19937& random) {
  const Pairs& pairs = products.pairs;
  const Mixture& m = pairs.m;
  const Stack down(type, m.experts, size.n, size.k, random);
  const Guarded<float> x(random_floats(static_cast<std::size_t>(pairs.room * size.k), random));
  const Guarded<float> before(random_floats(static_cast<std::size_t>(m.tokens * size.n), random));
  std::vector<float> want(before.size());
  const std::vector<std::byte> rows = padded(x, size.k);
  const ExpertSumArgs args{.routing = pairs.routing(),
                           .x = rows.data(),
                           .kind = ActKind::f32,
                           .k = size.k,
                           .n = size.n,
                           .down = down.matrices(),
                           .residual = residual ? before.data() : nullptr,
                           .y = want.data()};
  ref_entry(KernelOp::expert_sum).step(&args, tokens_only(static_cast<std::size_t>(m.tokens)).host(), {});
  const std::vector<float> products_of = products(down, x, false);
  Guarded<float> y(want.size(), NAN);
  products.launch(
      "expert_sum", {ceil_div(size.n, 128), to_u32(m.tokens) + 1},
      gpu::ExpertSumParams{gpu::kRowsTokens, to_u32(size.n), to_u32(m.experts), to_u32(m.used), residual},
      {&pairs.counts, pairs.weights.data(), pairs.places.data(), products_of.data(), before.data(),
       y.data()});
  std::vector<double> bound;
  for (std::int64_t row = 0; row < m.tokens; ++row)
    for (std::int64_t j = 0; j < size.n; ++j) {
      bound.push_back(1e-6 * (1 + std::abs(before.data()[row * size.n + j])));
      for (std::int64_t e = 0; e < m.experts; ++e) {
        const float weight = pairs.weights.data()[row * m.experts + e];
        if (weight == 0) continue;
        const float* of_pair = x.data() + pairs.places.data()[row * m.experts + e] * size.k;
        bound.back() += weight * (products.relative(down) + 1e-6) * down.magnitude(e, j, of_pair);
      }
    }
  expect_within(y.span(), want, bound,
                fmt::format("{} of {} experts, {} tokens", format_info(type).name, m.experts, m.tokens));
}

std::int64_t tail(const FormatInfo& info, std::int64_t blocks, std::int64_t values) {
  return info.block_length == 1 ? values : info.block_length * blocks;
}

TEST_P(GpuExperts, ProductsOfFewRows) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    for (const auto& [m, block_rows] : {std::pair{Mixture{4, 2, 1}, 1},
                                        {Mixture{6, 2, 3}, 1},
                                        {Mixture{3, 2, 11}, 8},
                                        {Mixture{4, 3, 5, Pattern::ragged}, 8}}) {
      Pairs pairs(m, block_rows, random, launch);
      const Products products{launch, pairs, false};
      check_glu(products, type, {18, tail(info, 1, 7)}, random);
      check_sum(products, type, {5, tail(info, 2, 43)}, m.tokens > 3, random);
    }
  }
}

TEST_P(GpuExperts, ProductsByTiles) {
  for (DType type : weight_types()) {
    const FormatInfo& info = format_info(type);
    for (const Mixture& m : {Mixture{3, 2, 7}, Mixture{2, 1, 70, Pattern::one}}) {
      Pairs pairs(m, 64, random, launch);
      const Products products{launch, pairs, true};
      check_glu(products, type, {18, tail(info, 1, 40)}, random);
      check_sum(products, type, {67, tail(info, 1, 35)}, m.tokens > 7, random);
    }
  }
}

MEDLAR_EVERY_ORDER(GpuExperts);

}  // namespace
}  // namespace medlar::testing
