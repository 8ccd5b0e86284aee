// Mixtures of experts: the choice, and products with stacked matrices, for batches in which some experts have
// many rows and others none.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

#include "kernels/ref/ref.h"
#include "kernels/types.h"
#include "tests/kernels/activations.h"
#include "tests/kernels/checks.h"
#include "tests/kernels/matrix.h"
#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The softmax of a row rounds its differences, which the exponential multiplies, and adds up `experts` terms;
// the smallest weights are cut at the smallest normal number.
double route_bound(std::int64_t experts, const float* logits, std::size_t e, float weight) {
  if (weight == 0) return 0;
  const double span = std::min(104.0F, *std::max_element(logits, logits + experts) - logits[e]);
  return (static_cast<double>(experts) + span + 8) * kUlp * std::abs(weight) + 1e-37;
}

int check_routes(const KernelEntry& entry, RouteArgs args, const std::vector<float>& logits) {
  const Guarded x(logits);
  const auto rows = static_cast<std::int64_t>(logits.size()) / args.experts;
  const SimpleStep s(rows);
  std::vector<float> want(logits.size());
  args.logits = x.floats(), args.rows = RowCount::tokens, args.y = want.data();
  run(ref_entry(KernelOp::route), &args, s.step, 1);
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const Guarded y(static_cast<std::int64_t>(want.size() * sizeof(float)), 4);
    args.y = y.floats();
    run(entry, &args, s.step, threads);
    EXPECT_TRUE(y.intact());
    for (std::int64_t m = 0; m < rows; ++m) {
      const std::int64_t at = m * args.experts;
      const auto row =
          y.values().subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(args.experts));
      EXPECT_EQ(std::ranges::count_if(row, [](float w) { return w != 0; }), args.used) << "row " << m;
      for (std::size_t e = 0; e < row.size(); ++e)
        EXPECT_EQ(row[e] != 0, want[static_cast<std::size_t>(at) + e] != 0)
            << "row " << m << ", expert " << e;
      compared += expect_near(
          row, std::span(want).subspan(static_cast<std::size_t>(at), row.size()),
          [&](std::size_t e) { return route_bound(args.experts, x.floats() + at, e, row[e]); }, "route");
    }
  }
  return compared;
}

enum class Pattern {
  random,  // as a router chooses
  one,     // every row uses the same expert only
  ragged,  // 0, 1, ... weights that are not 0, and also more than `used`, of which the first count
};

struct Case {
  std::int64_t experts, used, tokens, n, k;
  Pattern pattern = Pattern::random;
};

const Case kCases[] = {
    {4, 2, 1, 40, 256},
    {8, 3, 2, 17, 512},
    {8, 1, 3, 1, 256},
    {5, 5, 4, 130, 256},
    {16, 4, 5, 24, 256},
    {8, 2, 6, 33, 256},
    {3, 2, 7, 64, 512},
    {8, 2, 8, 16, 256},
    {8, 2, 9, 48, 256},
    {6, 2, 33, 50, 256},
    {1, 1, 20, 40, 256},
    {8, 3, 9, 40, 256, Pattern::one},
    {8, 3, 17, 40, 256, Pattern::ragged},
};
// More weight rows, or more activation rows of one expert, than a chunk holds.
const Case kLong[] = {{3, 2, 2, 1100, 256}, {3, 2, 300, 40, 256}, {4, 2, 140, 300, 256, Pattern::one}};

std::vector<float> weights_for(const Case& c, Rng& rng) {
  std::vector<float> weights(static_cast<std::size_t>(c.tokens * c.experts));
  for (std::int64_t m = 0; m < c.tokens; ++m) {
    float* row = weights.data() + m * c.experts;
    if (c.pattern == Pattern::one) {
      row[1] = 1;
      continue;
    }
    const std::int64_t some = c.pattern == Pattern::ragged ? m % (c.experts + 1) : c.used;
    std::vector<std::int64_t> order(static_cast<std::size_t>(c.experts));
    std::iota(order.begin(), order.end(), 0);
    for (std::int64_t i = 0; i < some; ++i) {
      std::swap(order[static_cast<std::size_t>(i)],
                order[static_cast<std::size_t>(i + rng.below(c.experts - i))]);
      row[order[static_cast<std::size_t>(i)]] = 0.1F + rng.uniform();
    }
  }
  return weights;
}

struct Pair {
  std::int64_t row, expert;
};

std::vector<Pair> pairs_of(const Case& c, const std::vector<float>& weights) {
  std::vector<std::int64_t> used(static_cast<std::size_t>(c.tokens));
  std::vector<Pair> pairs;
  for (std::int64_t e = 0; e < c.experts; ++e)
    for (std::int64_t m = 0; m < c.tokens; ++m)
      if (weights[static_cast<std::size_t>(m * c.experts + e)] != 0 &&
          used[static_cast<std::size_t>(m)]++ < c.used)
        pairs.push_back({m, e});
  return pairs;
}

Routing routing(const Case& c, const Guarded& weights) {
  return {.weights = weights.floats(), .rows = RowCount::tokens, .experts = c.experts, .used = c.used};
}

std::string describe(const char* what, const Case& c, int threads) {
  return std::string(what) + ", " + std::to_string(c.tokens) + " tokens, " + std::to_string(c.experts) +
         " experts of " + std::to_string(c.n) + " x " + std::to_string(c.k) + ", " + std::to_string(threads) +
         " threads";
}

// Runs the entry with 1, 2 and 5 threads on a result that begins as `initial`.
template <class Args, class Bound>
int compare(const KernelEntry& entry, const Args& args, const Case& c, const std::vector<float>& initial,
            const std::vector<float>& want, Bound bound) {
  const SimpleStep s(c.tokens);
  int compared = 0;
  for (const int threads : {1, 2, 5}) {
    const Guarded y(initial);
    Args now = args;
    now.y = y.floats();
    if constexpr (requires { args.residual; }) {
      if (threads == 2 && args.residual) now.residual = y.floats();  // in place
    }
    run(entry, &now, s.step, threads);
    EXPECT_TRUE(y.intact());
    compared += expect_near(y.values(), want, bound, describe(entry.name.data(), c, threads));
  }
  return compared;
}

// An activation's slope is at most 1.2, its error as in check_unary.
// With biases where the activation is one that has them.
int check_glu_case(const KernelEntry& entry, const Case& c, Leaf leaf, Activation activation, Rng& rng) {
  const bool biased = activation == Activation::clamped_silu;
  const Guarded weights(weights_for(c, rng));
  const std::vector<Pair> pairs = pairs_of(c, {weights.values().begin(), weights.values().end()});
  const Activations x(leaf.act, rng.heavy_tailed(c.tokens * c.k), c.tokens, c.k);
  const Matrix gate({leaf}, c.experts * c.n, x, c.tokens, rng), up({leaf}, c.experts * c.n, x, c.tokens, rng);
  const RowsDotFn ref_dot = ref_entry(KernelOp::rows_dot, leaf.type).rows_dot;
  const std::vector<float> initial = rng.normals(c.tokens * c.used * c.n);
  std::vector<float> want = initial;
  ExpertGluArgs args{.routing = routing(c, weights),
                     .x = x.exact.data(),
                     .kind = ActKind::f32,
                     .k = c.k,
                     .n = c.n,
                     .gate = {gate.weights.data(), ref_dot, leaf.type, biased ? gate.bias.data() : nullptr},
                     .up = {up.weights.data(), ref_dot, leaf.type, biased ? up.bias.data() : nullptr},
                     .activation = activation,
                     .y = want.data()};
  const SimpleStep s(c.tokens);
  run(ref_entry(KernelOp::expert_glu), &args, s.step, 1);
  args.x = x.prepared.data();
  args.kind = leaf.act;
  args.gate.dot = args.up.dot = leaf_for(leaf.isa, leaf.type, leaf.act);
  return compare(entry, args, c, initial, want, [&](std::size_t i) {
    const auto p = i / static_cast<std::size_t>(c.n), j = i % static_cast<std::size_t>(c.n);
    if (p >= pairs.size()) return 0.0;
    const auto at = static_cast<std::size_t>((pairs[p].row * c.experts + pairs[p].expert) * c.n) + j;
    const auto out = static_cast<std::size_t>(pairs[p].expert * c.n) + j;
    const double g = std::abs(gate.product[at]) + (biased ? std::abs(gate.bias[out]) : 0),
                 u = std::abs(up.product[at]) + (biased ? std::abs(up.bias[out]) + 1 : 0);
    return 1.2 * gate.bound[at] * (u + up.bound[at]) + g * up.bound[at] + (12 + 4 * 88) * kUlp * g * u +
           1e-36;
  });
}

// Adds up as many products as a row has pairs.
int check_sum_case(const KernelEntry& entry, const Case& c, Leaf leaf, bool residual, Rng& rng) {
  const Guarded weights(weights_for(c, rng));
  const std::vector<Pair> pairs = pairs_of(c, {weights.values().begin(), weights.values().end()});
  const std::int64_t rows = c.tokens * c.used;
  const Activations x(leaf.act, rng.heavy_tailed(rows * c.k), rows, c.k);
  const Matrix down({leaf}, c.experts * c.n, x, rows, rng);
  const std::vector<float> initial = rng.normals(c.tokens * c.n);
  std::vector<float> want(initial.size());
  std::vector<double> bound(initial.size()), size(initial.size());
  for (std::size_t i = 0; i < initial.size(); ++i) size[i] = residual ? std::abs(initial[i]) : 0;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    const auto [row, expert] = pairs[p];
    const double weight = weights.values()[static_cast<std::size_t>(row * c.experts + expert)];
    for (std::int64_t j = 0; j < c.n; ++j) {
      const auto from =
          p * static_cast<std::size_t>(c.experts * c.n) + static_cast<std::size_t>(expert * c.n + j);
      const auto to = static_cast<std::size_t>(row * c.n + j);
      bound[to] += weight * down.bound[from];
      size[to] += weight * std::abs(down.product[from]);
      if (!residual) size[to] += weight * std::abs(down.bias[static_cast<std::size_t>(expert * c.n + j)]);
    }
  }
  ExpertSumArgs args{.routing = routing(c, weights),
                     .x = x.exact.data(),
                     .kind = ActKind::f32,
                     .k = c.k,
                     .n = c.n,
                     .down = {down.weights.data(), ref_entry(KernelOp::rows_dot, leaf.type).rows_dot,
                              leaf.type, residual ? nullptr : down.bias.data()},
                     .residual = residual ? initial.data() : nullptr,
                     .y = want.data()};
  const SimpleStep s(c.tokens);
  run(ref_entry(KernelOp::expert_sum), &args, s.step, 1);
  args.x = x.prepared.data();
  args.kind = leaf.act;
  args.down.dot = leaf_for(leaf.isa, leaf.type, leaf.act);
  const double steps = static_cast<double>(c.used) + 2;
  return compare(entry, args, c, initial, want,
                 [&](std::size_t i) { return bound[i] + steps * kUlp * (size[i] + bound[i]); });
}

// The products have checks of their own; here every type occurs, but not in every case.
constexpr DType kTypes[] = {DType::q4_0, DType::q4_k, DType::q6_k, DType::q8_0, DType::f16};

DType type_of(std::size_t i) { return kTypes[i % std::size(kTypes)]; }

// Sigmoids, biases that choose, groups and a scale, on logits that are far enough apart to be ordered alike.
int check_choices(const KernelEntry& entry) {
  Rng rng(24);
  int compared = 0;
  struct Choice {
    std::int64_t experts, used, groups, groups_used, group_best;
  };
  for (const Choice& c :
       {Choice{8, 2, 1, 1, 1}, {8, 3, 4, 2, 1}, {8, 4, 4, 2, 2}, {64, 6, 8, 3, 2}, {6, 1, 6, 1, 1}})
    for (const RouteScore score : {RouteScore::softmax, RouteScore::sigmoid})
      for (const bool normalize : {false, true})
        for (const bool biased : {false, true}) {
          const Guarded bias(rng.normals(c.experts));
          compared += check_routes(entry,
                                   {.bias = biased ? bias.floats() : nullptr,
                                    .experts = c.experts,
                                    .used = c.used,
                                    .score = score,
                                    .normalize = normalize,
                                    .groups = c.groups,
                                    .groups_used = c.groups_used,
                                    .group_best = c.group_best,
                                    .scale = 2.5f},
                                   rng.normals(9 * c.experts, 1));
        }
  return compared;
}

}  // namespace

int check_route(const KernelEntry& entry) {
  Rng rng(21);
  int compared = 0;
  for (const std::int64_t experts : {1, 2, 8, 37, 128}) {
    for (const std::int64_t used : {std::int64_t{1}, (experts + 3) / 4, experts}) {
      for (const bool normalize : {false, true}) {
        const RouteArgs args{.experts = experts, .used = used, .normalize = normalize};
        for (const std::int64_t tokens : {1, 2, 9, 33})
          compared += check_routes(entry, args, rng.normals(tokens * experts, 3));
        // Rows of equal values, of values far apart, and of such that are no numbers.
        std::vector<float> odd = rng.normals(6 * experts, 60);
        for (std::int64_t e = 0; e < experts; ++e) {
          odd[static_cast<std::size_t>(e)] = 1;
          odd[static_cast<std::size_t>(experts + e)] = static_cast<float>(e % 3);
        }
        odd[static_cast<std::size_t>(2 * experts)] = -kInf;
        odd[static_cast<std::size_t>(3 * experts) + static_cast<std::size_t>(experts / 2)] = kNan;
        odd[static_cast<std::size_t>(4 * experts)] = kInf;
        compared += check_routes(entry, args, odd);
      }
    }
  }
  return compared + check_choices(entry);
}

int check_expert_glu(const KernelEntry& entry) {
  Rng rng(22);
  int compared = 0;
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    const DType type = type_of(i), exact = type_of(i + 2);
    compared += check_glu_case(entry, kCases[i], {entry.isa, type, act_kind(type)}, Activation::silu, rng);
    compared += check_glu_case(entry, kCases[i], {entry.isa, exact, ActKind::f32}, Activation::gelu, rng);
    compared +=
        check_glu_case(entry, kCases[i], {entry.isa, type, act_kind(type)}, Activation::clamped_silu, rng);
  }
  for (const Case& c : kLong)
    compared += check_glu_case(entry, c, {entry.isa, DType::q4_0, ActKind::q8}, Activation::silu, rng);
  return compared;
}

int check_expert_sum(const KernelEntry& entry) {
  Rng rng(23);
  int compared = 0;
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    const DType type = type_of(i), exact = type_of(i + 2);
    compared += check_sum_case(entry, kCases[i], {entry.isa, type, act_kind(type)}, true, rng);
    compared += check_sum_case(entry, kCases[i], {entry.isa, exact, ActKind::f32}, false, rng);
  }
  for (const Case& c : kLong)
    compared += check_sum_case(entry, c, {entry.isa, DType::q4_0, ActKind::q8}, true, rng);
  return compared;
}

}  // namespace medlar::kernels::testing
