// Queries, keys and values on their way to attention: norm of each head, rotary embedding (Su et al. 2021),
// and the store to the KV cache. One simdgroup a head, four a threadgroup; any part may be left out. Grid:
// (heads / 4, tokens).
#pragma once

#include "kernels/gpu/common.h"

enum { kHeadSimdgroups = 4, kMaxHeadDim = 512 };

struct HeadIo {
  const DEVICE f32* x;       // this head
  const DEVICE f32* weight;  // of the norm
  const DEVICE f32* inv_freq;
  f32 position;
};

FN void rotate_pair(TGMEM f32* head, u32 a, u32 b, f32 angle, f32 magnitude) {
  const f32 c = g_cos(angle) * magnitude, s = g_sin(angle) * magnitude, x = head[a], y = head[b];
  head[a] = x * c - y * s;
  head[b] = x * s + y * c;
}

// Leaves the finished head in `head`, visible to all lanes of the simdgroup.
FN void finish_head(const CONSTANT HeadParams& p, const THREAD HeadIo& io, u32 lane, TGMEM f32* head) {
  f32 x[kMaxHeadDim / 32];  // all loads on their way at once
  UNROLL for (u32 c = 0; c < kMaxHeadDim / 32; ++c) x[c] = c * 32 + lane < p.dim ? io.x[c * 32 + lane] : 0.f;
  f32 squares = 0.f;
  UNROLL for (u32 c = 0; c < kMaxHeadDim / 32; ++c) squares = g_fma(x[c], x[c], squares);
  f32 scale = 1.f;
  if (p.norm) scale = g_rsqrt(simd_sum(squares) / (f32)p.dim + p.eps);
  UNROLL for (u32 c = 0; c < kMaxHeadDim / 32; ++c) {
    const u32 i = c * 32 + lane;
    if (i < p.dim) head[i] = x[c] * scale * (p.has_weight ? io.weight[i] : 1.f);
  }
  simd_fence();
  const u32 pairs = p.rope_dim / 2;
  const bool adjacent = p.rope_style == kRopeAdjacent;
  for (u32 i = lane; i < pairs; i += 32)
    rotate_pair(head + p.rope_first, adjacent ? 2 * i : i, adjacent ? 2 * i + 1 : i + pairs,
                io.position * io.inv_freq[i], p.magnitude);
  simd_fence();
}

KERNEL(128)
heads(PARAMS(HeadParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, f32, x),
      IN(4, f32, weight), IN(5, f32, inv_freq), OUT(6, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, storage, kHeadSimdgroups * kMaxHeadDim);
  const u32 h = gk_tgid.x * kHeadSimdgroups + gk_sg, t = gk_tgid.y;
  if (h >= p.heads || t >= (u32)step->tokens) return;
  TGMEM f32* head = storage + gk_sg * kMaxHeadDim;
  const u64 at = (u64)(t * p.heads + h) * p.dim;
  const HeadIo io = {x + at, weight, inv_freq, (f32)positions[t]};
  finish_head(p, io, gk_lane, head);
  for (u32 i = gk_lane; i < p.dim; i += 32) y[at + i] = head[i];
}
