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

void route_row(const RouteArgs& a, const float* x, float* y) {
  float top = x[0];
  for (int64_t e = 1; e < a.experts; ++e) top = x[e] > top ? x[e] : top;
  each({0, a.experts}, [&](int64_t e, auto lanes) __attribute__((always_inline)) {
    store(y + e, exponential(load(x + e, lanes) - splat(top)), lanes);
  });
  float total = 0.0f;
  for (int64_t e = 0; e < a.experts; ++e) total += y[e];
  if (total != total) {  // no order: the first experts stand for the row, which stays without numbers
    for (int64_t e = 0; e < a.experts; ++e) y[e] = e < a.used ? total : 0.0f;
    return;
  }
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
    const float weight = y[e] / sum;
    y[e] = y[e] != 0.0f && weight < kSmallest ? kSmallest : weight;
  }
}

}  // namespace

void route(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const RouteArgs*>(args);
  const Range mine = share(resolve(a.rows, step), 1, slice);
  for (int64_t m = mine.begin; m < mine.end; ++m) route_row(a, a.logits + m * a.experts, a.y + m * a.experts);
}

}  // namespace medlar::kernels::MEDLAR_ISA
