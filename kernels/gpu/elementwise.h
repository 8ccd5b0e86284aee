// Operations on one element at a time, one thread an element. Grid: (width / 256, rows).
#pragma once

#include "kernels/gpu/common.h"

KERNEL(256)
glu(PARAMS(GluParams, p), IN(1, StepCounts, step), IN(2, f32, gate), IN(3, f32, up), OUT(4, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid;
  if (i >= p.width || gk_tgid.y >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.y * p.width + i;
  y[at] = gated(p.activation, gate[at], up[at]);
}

KERNEL(256)
binary(PARAMS(BinaryParams, p), IN(1, StepCounts, step), IN(2, f32, a), IN(3, f32, b), OUT(4, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid;
  if (i >= p.width || gk_tgid.y >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.y * p.width + i;
  const f32 right = b[p.broadcast ? (u64)i : at];
  y[at] = p.op == kBinaryAdd ? a[at] + right : a[at] * right;
}

KERNEL(256)
unary(PARAMS(UnaryParams, p), IN(1, StepCounts, step), IN(2, f32, x), OUT(3, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid;
  if (i >= p.width || gk_tgid.y >= row_count(step, p.rows)) return;
  const u64 at = (u64)gk_tgid.y * p.width + i;
  f32 v = x[at];
  if (p.op == kUnaryScale) v *= p.parameter;
  if (p.op == kUnarySoftcap) v = p.parameter * g_tanh(v / p.parameter);
  if (p.op == kUnarySilu) v = silu(v);
  if (p.op == kUnaryGelu) v = gelu(v);
  if (p.op == kUnarySigmoid) v = sigmoid(v);
  if (p.op == kUnaryGeluErf) v = gelu_erf(v);
  if (p.op == kUnaryReluSquared) v = v < 0.f ? 0.f : v * v;
  y[at] = v;
}

KERNEL(256)
concat(PARAMS(ConcatParams, p), IN(1, StepCounts, step), IN(2, f32, a), IN(3, f32, b), OUT(4, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid, width = p.a_width + p.b_width;
  if (i >= width || gk_tgid.y >= row_count(step, p.rows)) return;
  const u64 row = gk_tgid.y;
  y[row * width + i] = i < p.a_width ? a[row * p.a_width + i] : b[row * p.b_width + i - p.a_width];
}

KERNEL(256)
temperature(PARAMS(TemperatureParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, f32, x),
            OUT(4, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid;
  if (i >= p.width || gk_tgid.y >= (u32)step->tokens) return;
  const u64 at = (u64)gk_tgid.y * p.width + i;
  y[at] = x[at] * (1.f + p.beta * g_log(1.f + (f32)((u32)positions[gk_tgid.y] / p.length)));
}

// y[r, i] = x[r, i, begin : begin + width]. Grid: (per_row * width / 256, rows).
KERNEL(256)
slice(PARAMS(SliceParams, p), IN(1, StepCounts, step), IN(2, f32, x), OUT(3, f32, y) GRID) {
  GRID_BEGIN
  const u32 i = gk_tgid.x * 256 + gk_tid, all = p.per_row * p.width;
  if (gk_tgid.y >= row_count(step, p.rows) || i >= all) return;
  const u64 vector = (u64)gk_tgid.y * p.per_row + i / p.width;
  y[(u64)gk_tgid.y * all + i] = x[vector * p.dim + p.begin + i % p.width];
}
