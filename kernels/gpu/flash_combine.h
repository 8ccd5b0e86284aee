// Joins the splits of flash_attention.h: each is a sum over some keys, relative to its own top logit. The
// simdgroups take splits in turn, several at once. Grid: (heads, tokens).
#pragma once

#include "kernels/gpu/flash_result.h"

enum { kCombineSimdgroups = 8, kCombineAtOnce = 4, kCombineParts = 4 };  // splits; parts of 32 columns

struct FlashSplits {
  const DEVICE f32* sums;  // (splits, v_dim)
  const DEVICE f32* tops;  // (splits, 2)
  f32 top;                 // of all
};

// This lane's columns, of the 128 from `first` on, over this simdgroup's splits.
FN void combine_columns(const CONSTANT AttentionParams& a, const THREAD FlashSplits& in, u32 first, u32 lane,
                        u32 sg, THREAD f32* sum) {
  UNROLL for (u32 c = 0; c < kCombineParts; ++c) sum[c] = 0.f;
  for (u32 s0 = sg; s0 < a.splits; s0 += kCombineSimdgroups * kCombineAtOnce) {
    f32 v[kCombineAtOnce][kCombineParts], weight[kCombineAtOnce];
    UNROLL for (u32 i = 0; i < kCombineAtOnce; ++i) {
      const u32 s = s0 + i * kCombineSimdgroups;
      weight[i] = s < a.splits ? in.tops[s * 2] : FLASH_NO_TOP;
      UNROLL for (u32 c = 0; c < kCombineParts; ++c) {
        const u32 column = first + c * 32 + lane;
        v[i][c] = s < a.splits && column < a.v_dim ? in.sums[(u64)s * a.v_dim + column] : 0.f;
      }
    }
    UNROLL for (u32 i = 0; i < kCombineAtOnce; ++i) UNROLL for (u32 c = 0; c < kCombineParts; ++c) sum[c] =
        g_fma(v[i][c], g_exp2(weight[i] - in.top), sum[c]);
  }
}

KERNEL(256)
flash_combine(PARAMS(FlashParams, p), IN(1, StepCounts, step), IN(2, f32, sums), IN(3, f32, tops),
              IN(4, f32, sinks), IN(5, f32, gamma), OUT(6, f32, y), OUT(7, u8, bytes) GRID) {
  GRID_BEGIN_EARLY
  launch_next();
  TGARRAY(f32, shared, kCombineSimdgroups * kCombineParts * 32);
  const CONSTANT AttentionParams& a = p.attention;
  const bool inside = gk_tgid.y < (u32)step->tokens;
  wait_previous();
  if (!inside) return;
  const u32 head = gk_tgid.y * a.heads + gk_tgid.x;
  const u64 first = (u64)head * a.splits;
  FlashSplits in = {sums + first * a.v_dim, tops + first * 2, FLASH_NO_TOP};
  f32 total = 0.f;
  for (u32 s = gk_lane; s < a.splits; s += 32) in.top = g_max(in.top, in.tops[s * 2]);
  in.top = simd_max(in.top);
  for (u32 s = gk_lane; s < a.splits; s += 32) total += in.tops[s * 2 + 1] * g_exp2(in.tops[s * 2] - in.top);
  const f32 scale = flash_normalizer(a, sinks, gk_tgid.x, in.top, simd_sum(total));
  for (u32 at = 0; at < a.v_dim; at += kCombineParts * 32) {
    f32 sum[kCombineParts];
    combine_columns(a, in, at, gk_lane, gk_sg, sum);
    tg_barrier();
    UNROLL for (u32 c = 0; c < kCombineParts; ++c) shared[(gk_sg * kCombineParts + c) * 32 + gk_lane] =
        sum[c];
    tg_barrier();
    if (gk_sg >= kCombineParts || at + gk_sg * 32 >= a.v_dim) continue;
    f32 all = 0.f;
    UNROLL for (u32 i = 0; i < kCombineSimdgroups; ++i) all +=
        shared[(i * kCombineParts + gk_sg) * 32 + gk_lane];
    store_row(p, gamma, gk_tgid.y, head, at + gk_sg * 32 + gk_lane, all * scale, gk_lane, y, bytes);
  }
}
