// Which experts each row uses, and how much of each (kernels/args.h: RouteArgs). One threadgroup a row. Grid:
// (rows).
#pragma once

#include "kernels/gpu/common.h"

// How many of x come before element i: those that are larger, and of equal ones the first.
FN u32 rank(const TGMEM f32* x, u32 n, u32 i) {
  u32 before = 0;
  for (u32 j = 0; j < n; ++j) before += x[j] > x[i] || (x[j] == x[i] && j < i) ? 1 : 0;
  return before;
}

// A chosen expert's weight is never 0: at least the smallest normal number.
FN f32 not_zero(f32 weight) { return weight < 1.17549435e-38f ? 1.17549435e-38f : weight; }

// What a logit says of its expert, where `top` is the row's largest and `total` the softmax's sum.
FN f32 route_score(const CONSTANT RouteParams& p, f32 logit, f32 top, f32 total) {
  return p.score == kScoreSigmoid ? sigmoid(logit) : g_exp(logit - top) / total;
}

// The sum of the `best` largest of x.
FN f32 best_sum(const TGMEM f32* x, u32 n, u32 best) {
  f32 sum = 0.f;
  for (u32 i = 0; i < n; ++i) sum += rank(x, n, i) < best ? x[i] : 0.f;
  return sum;
}

#define ROUTE_OUTSIDE -1e38f  // below every score

// Experts outside of the best groups come last. `sums`: one a group.
FN void leave_groups(const CONSTANT RouteParams& p, u32 tid, TGMEM f32* x, TGMEM f32* sums) {
  const u32 size = p.experts / p.groups;
  tg_barrier();
  for (u32 g = tid; g < p.groups; g += 128) sums[g] = best_sum(x + g * size, size, p.group_best);
  tg_barrier();
  for (u32 e = tid; e < p.experts; e += 128)
    if (rank(sums, p.groups, e / size) >= p.groups_used) x[e] = ROUTE_OUTSIDE;
}

KERNEL(128)
route(PARAMS(RouteParams, p), IN(1, StepCounts, step), IN(2, f32, logits), IN(3, f32, bias),
      OUT(4, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, x, kMaxExperts);
  TGARRAY(f32, group_sums, kMaxRouteGroups);
  TGARRAY(f32, tops, 4);
  TGARRAY(f32, totals, 4);
  TGARRAY(f32, sums, 4);
  if (gk_tgid.x >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.x * p.experts;
  f32 top = logits[at];
  for (u32 e = gk_tid; e < p.experts; e += 128) top = g_max(top, logits[at + e]);
  top = group_max(top, tops, 4, gk_lane, gk_sg);
  f32 total = 0.f, chosen = 0.f;
  for (u32 e = gk_tid; e < p.experts; e += 128)
    total += route_score(p, logits[at + e], top, 1.f) + (p.has_bias ? bias[e] : 0.f) * 0.f;
  total = group_sum(total, totals, 4, gk_lane, gk_sg);
  if (total != total) {  // no order: the first experts stand for the row, which stays without numbers
    for (u32 e = gk_tid; e < p.experts; e += 128) y[at + e] = e < p.used ? total : 0.f;
    return;
  }
  const bool by_score = p.has_bias || p.groups > 1;
  for (u32 e = gk_tid; e < p.experts; e += 128)
    x[e] =
        by_score ? route_score(p, logits[at + e], top, total) + (p.has_bias ? bias[e] : 0.f) : logits[at + e];
  if (p.groups > 1) leave_groups(p, gk_tid, x, group_sums);
  tg_barrier();
  for (u32 e = gk_tid; e < p.experts; e += 128) {
    const f32 weight = rank(x, p.experts, e) < p.used ? route_score(p, logits[at + e], top, 1.f) : -1.f;
    if (weight >= 0.f) chosen += weight;
    y[at + e] = weight;
  }
  const f32 whole = p.score == kScoreSigmoid ? 1.f : total;
  const f32 sum = p.normalize ? group_sum(chosen, sums, 4, gk_lane, gk_sg) : whole;
  for (u32 e = gk_tid; e < p.experts; e += 128)
    y[at + e] = y[at + e] < 0.f ? 0.f : not_zero(p.scale * y[at + e] / sum);
}
