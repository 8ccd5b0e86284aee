// The choice of experts: slices share the rows.
#include "kernels/cpu/math.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr float kSmallest = 1.17549435e-38f;  // normal: a chosen expert's weight is never 0

// A place in the order of a row's values: the larger first, of equal ones the first.
struct Place {
  float value;
  int64_t at;
};

MEDLAR_INLINE bool behind(float value, int64_t at, Place p) {
  return value < p.value || (value == p.value && at > p.at);
}

// The place that `used` values of x take up to. All of x are numbers.
Place last_chosen(const float* x, int64_t n, int64_t used) {
  Place last{__builtin_inff(), -1};
  for (int64_t i = 0; i < used; ++i) {
    Place next{-__builtin_inff(), -1};
    for (int64_t e = 0; e < n; ++e) {
      if ((next.at < 0 || x[e] > next.value) && behind(x[e], e, last)) next = {x[e], e};
    }
    last = next;
  }
  return last;
}

// Scores, of the softmax before they are divided by the sum, which is returned; of sigmoids the sum is 1.
// Not a number where some logit is none.
float score_row(const RouteArgs& a, const float* x, float* y) {
  float total = 0.0f;
  if (a.score == RouteScore::sigmoid) {
    each({0, a.experts}, [&](int64_t e, auto lanes) __attribute__((always_inline)) {
      store(y + e, times_sigmoid(splat(1.0f), load(x + e, lanes)), lanes);
    });
    for (int64_t e = 0; e < a.experts; ++e) total += y[e];
    return total != total ? total : 1.0f;
  }
  float top = x[0];
  for (int64_t e = 1; e < a.experts; ++e) top = x[e] > top ? x[e] : top;
  each({0, a.experts}, [&](int64_t e, auto lanes) __attribute__((always_inline)) {
    store(y + e, exponential(load(x + e, lanes) - splat(top)), lanes);
  });
  for (int64_t e = 0; e < a.experts; ++e) total += y[e];
  return total;
}

// The sum of a group's best values.
float best_sum(const float* x, int64_t n, int64_t best) {
  const Place last = last_chosen(x, n, best);
  float sum = 0.0f;
  for (int64_t e = 0; e < n; ++e)
    if (!behind(x[e], e, last)) sum += x[e];
  return sum;
}

// What experts are ordered by, in scratch: `choice`, experts, behind which lie the groups' sums.
const float* choices(const RouteArgs& a, const float* x, const float* y, float total, float* choice) {
  if (!a.bias && a.groups == 1) return x;
  for (int64_t e = 0; e < a.experts; ++e) choice[e] = y[e] / total + (a.bias ? a.bias[e] : 0.0f);
  if (a.groups == 1) return choice;
  const int64_t size = a.experts / a.groups;
  float* sums = choice + a.experts;
  for (int64_t g = 0; g < a.groups; ++g) sums[g] = best_sum(choice + g * size, size, a.group_best);
  const Place last = last_chosen(sums, a.groups, a.groups_used);
  for (int64_t e = 0; e < a.experts; ++e)
    if (behind(sums[e / size], e / size, last)) choice[e] = -__builtin_inff();
  return choice;
}

void route_row(const RouteArgs& a, const float* logits, float* scratch, float* y) {
  const float total = score_row(a, logits, y);
  float numbers = total;
  for (int64_t e = 0; a.bias && e < a.experts; ++e) numbers += a.bias[e];
  if (numbers != numbers) {  // no order: the first experts stand for the row, which stays without numbers
    for (int64_t e = 0; e < a.experts; ++e) y[e] = e < a.used ? numbers : 0.0f;
    return;
  }
  const float* x = choices(a, logits, y, total, scratch);
  const Place last = last_chosen(x, a.experts, a.used);
  float chosen = 0.0f;
  for (int64_t e = 0; e < a.experts; ++e) {
    if (behind(x[e], e, last)) {
      y[e] = 0.0f;
    } else {
      chosen += y[e];
      y[e] = y[e] < kSmallest ? kSmallest : y[e];
    }
  }
  const float sum = a.normalize ? chosen : total;
  for (int64_t e = 0; e < a.experts; ++e) {
    const float weight = a.scale * y[e] / sum;
    y[e] = y[e] != 0.0f && weight < kSmallest ? kSmallest : weight;
  }
}

}  // namespace

size_t route_scratch(const void* args, int) {
  const auto& a = *static_cast<const RouteArgs*>(args);
  return static_cast<size_t>(a.experts + a.groups) * sizeof(float);
}

void route(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RouteArgs*>(args);
  const Range mine = share(resolve(a.rows, step), 1, slice);
  auto* scratch = reinterpret_cast<float*>(slice.scratch.data());
  for (int64_t m = mine.begin; m < mine.end; ++m)
    route_row(a, a.logits + m * a.experts, scratch, a.y + m * a.experts);
}

}  // namespace medlar::kernels::MEDLAR_ISA
