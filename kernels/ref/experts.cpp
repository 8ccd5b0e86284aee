// Mixtures of experts: the choice of experts, and the products with theirs.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "formats/all.h"
#include "kernels/ref/ref_ops.h"
#include "kernels/table.h"

namespace medlar::kernels::ref {

namespace {

// A row and one of its experts.
struct Pair {
  std::int64_t row, expert;
};

std::vector<Pair> pairs(const Routing& r, const Step& step) {
  const std::int64_t rows = resolve(r.rows, step);
  std::vector<std::int64_t> used(static_cast<std::size_t>(rows));
  std::vector<Pair> pairs;
  for (std::int64_t e = 0; e < r.experts; ++e) {
    for (std::int64_t m = 0; m < rows; ++m) {
      const bool uses = r.weights[m * r.experts + e] != 0;
      if (uses && used[static_cast<std::size_t>(m)]++ < r.used) pairs.push_back({m, e});
    }
  }
  return pairs;
}

// Row j of the expert's matrix (n, k) by one prepared row.
float product(const ExpertMatrices& matrices, std::int64_t n, std::int64_t k, std::int64_t expert,
              std::int64_t j, const std::byte* x) {
  const auto row_bytes = static_cast<std::int64_t>(formats::row_bytes(matrices.type, k));
  float y = 0;
  matrices.dot({.weight = static_cast<const std::byte*>(matrices.weight) + (expert * n + j) * row_bytes,
                .row_bytes = row_bytes,
                .n = 1,
                .k = k,
                .x = x,
                .rows = 1,
                .y = &y,
                .ldy = 1,
                .scratch = {}});
  return matrices.bias ? y + matrices.bias[expert * n + j] : y;
}

// Places of x, the larger value first, of equal ones the first.
std::vector<std::size_t> in_order(const std::vector<double>& x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto i, auto j) { return x[i] != x[j] ? x[i] > x[j] : i < j; });
  return order;
}

// What experts are ordered by: their choices, but -inf outside of the best groups.
void leave_groups(const RouteArgs& a, std::vector<double>& choice) {
  const auto groups = static_cast<std::size_t>(a.groups), size = choice.size() / groups;
  std::vector<double> sums(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    std::vector<double> group(choice.begin() + static_cast<std::ptrdiff_t>(g * size),
                              choice.begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
    std::sort(group.begin(), group.end(), std::greater<>());
    sums[g] = std::accumulate(group.begin(), group.begin() + a.group_best, 0.0);
  }
  const std::vector<std::size_t> order = in_order(sums);
  for (std::size_t i = static_cast<std::size_t>(a.groups_used); i < groups; ++i)
    std::fill_n(choice.begin() + static_cast<std::ptrdiff_t>(order[i] * size), size,
                -std::numeric_limits<double>::infinity());
}

void route_row(const RouteArgs& a, const float* logits, float* y) {
  const auto n = static_cast<std::size_t>(a.experts), used = static_cast<std::size_t>(a.used);
  const double top = *std::max_element(logits, logits + n);
  std::vector<double> p(n);
  for (std::size_t e = 0; e < n; ++e)
    p[e] = a.score == RouteScore::softmax ? std::exp(logits[e] - top)
                                          : 1 / (1 + std::exp(-static_cast<double>(logits[e])));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  const double whole = a.score == RouteScore::softmax ? total : 1;
  std::vector<double> choice(n);
  for (std::size_t e = 0; e < n; ++e)
    choice[e] =
        a.bias || a.groups > 1 ? p[e] / whole + (a.bias ? a.bias[e] : 0) : static_cast<double>(logits[e]);
  const bool numbers = !std::isnan(std::accumulate(choice.begin(), choice.end(), total));
  if (numbers && a.groups > 1) leave_groups(a, choice);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Without numbers to order by, the first experts stand for the row.
  if (numbers) order = in_order(choice);
  double chosen = 0;
  for (std::size_t i = 0; i < used; ++i) chosen += p[order[i]];
  std::fill_n(y, n, 0.0F);
  for (std::size_t i = 0; i < used; ++i) {
    const double weight = !numbers ? std::numeric_limits<double>::quiet_NaN()
                                   : a.scale * p[order[i]] / (a.normalize ? chosen : whole);
    y[order[i]] = weight < std::numeric_limits<float>::min() ? std::numeric_limits<float>::min()
                                                             : static_cast<float>(weight);
  }
}

}  // namespace

void route(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RouteArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t m = 0; m < resolve(a.rows, step); ++m)
    route_row(a, a.logits + m * a.experts, a.y + m * a.experts);
}

void expert_glu(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ExpertGluArgs*>(args);
  if (slice.index != 0) return;
  float* y = a.y;
  for (const Pair p : pairs(a.routing, step)) {
    const std::byte* x = a.x + static_cast<std::size_t>(p.row) * act_bytes(a.kind, a.k);
    for (std::int64_t j = 0; j < a.n; ++j) {
      const double gate = product(a.gate, a.n, a.k, p.expert, j, x);
      *y++ = static_cast<float>(gated(a.activation, gate, product(a.up, a.n, a.k, p.expert, j, x)));
    }
  }
}

void expert_sum(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const ExpertSumArgs*>(args);
  if (slice.index != 0) return;
  const std::vector<Pair> all = pairs(a.routing, step);
  std::vector<double> sums(static_cast<std::size_t>(resolve(a.routing.rows, step) * a.n));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Pair p = all[i];
    const double weight = a.routing.weights[p.row * a.routing.experts + p.expert];
    const std::byte* x = a.x + i * act_bytes(a.kind, a.k);
    for (std::int64_t j = 0; j < a.n; ++j)
      sums[static_cast<std::size_t>(p.row * a.n + j)] += weight * product(a.down, a.n, a.k, p.expert, j, x);
  }
  for (std::size_t i = 0; i < sums.size(); ++i)
    a.y[i] = static_cast<float>(a.residual ? a.residual[i] + sums[i] : sums[i]);
}

}  // namespace medlar::kernels::ref
