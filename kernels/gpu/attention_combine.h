// Joins the splits of attention: each is a sum over some keys, relative to its own top logit.
#pragma once

#include "kernels/gpu/attention_parts.h"

// `parts`: (tokens, heads, splits, v_dim + 2), the last two the top logit and the total weight. Grid: (heads,
// tokens).
KERNEL(128)
attention_combine(PARAMS(AttentionParams, p), IN(1, StepCounts, step), IN(2, f32, parts), IN(3, f32, sinks),
                  OUT(4, f32, y) GRID) {
  GRID_BEGIN
  const u32 h = gk_tgid.x, t = gk_tgid.y;
  if (t >= (u32)step->tokens) return;
  const u64 row = (u64)t * p.heads + h;
  const DEVICE f32* part = parts + row * p.splits * (p.v_dim + 2);
  f32 top = NO_LOGIT, total = 0.f;
  for (u32 s = 0; s < p.splits; ++s) top = g_max(top, part[s * (p.v_dim + 2) + p.v_dim]);
  for (u32 s = 0; s < p.splits; ++s)
    total += part[s * (p.v_dim + 2) + p.v_dim + 1] * g_exp(part[s * (p.v_dim + 2) + p.v_dim] - top);
  const f32 scale = normalizer(p, sinks, h, top, total);
  for (u32 i = gk_tid; i < p.v_dim; i += 128) {
    f32 sum = 0.f;
    for (u32 s = 0; s < p.splits; ++s)
      sum += part[s * (p.v_dim + 2) + i] * g_exp(part[s * (p.v_dim + 2) + p.v_dim] - top);
    y[row * p.v_dim + i] = sum * scale;
  }
}
