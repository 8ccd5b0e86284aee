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

KERNEL(128)
route(PARAMS(RouteParams, p), IN(1, StepCounts, step), IN(2, f32, logits), OUT(3, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, x, kMaxExperts);
  TGARRAY(f32, tops, 4);
  TGARRAY(f32, totals, 4);
  TGARRAY(f32, sums, 4);
  if (gk_tgid.x >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.x * p.experts;
  f32 top = logits[at];
  for (u32 e = gk_tid; e < p.experts; e += 128) {
    x[e] = logits[at + e];
    top = g_max(top, x[e]);
  }
  top = group_max(top, tops, 4, gk_lane, gk_sg);
  f32 total = 0.f, chosen = 0.f;
  for (u32 e = gk_tid; e < p.experts; e += 128) total += g_exp(x[e] - top);
  total = group_sum(total, totals, 4, gk_lane, gk_sg);
  if (total != total) {  // no order: the first experts stand for the row, which stays without numbers
    for (u32 e = gk_tid; e < p.experts; e += 128) y[at + e] = e < p.used ? total : 0.f;
    return;
  }
  for (u32 e = gk_tid; e < p.experts; e += 128) {
    const f32 weight = rank(x, p.experts, e) < p.used ? g_exp(x[e] - top) : -1.f;
    if (weight >= 0.f) chosen += weight;
    y[at + e] = weight;
  }
  const f32 sum = p.normalize ? group_sum(chosen, sums, 4, gk_lane, gk_sg) : total;
  for (u32 e = gk_tid; e < p.experts; e += 128) y[at + e] = y[at + e] < 0.f ? 0.f : not_zero(y[at + e] / sum);
}
