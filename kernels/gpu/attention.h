// Attention of one token's query head over its sequence's paged cache (kernels/args.h: AttentionArgs),
// with the running maximum and sum of Milakov & Gimelshein 2018. The keys are divided into `splits` parts,
// one threadgroup each (Flash-Decoding, Dao et al. 2023); within one, each simdgroup takes 32 keys at a time:
// a lane a key for the logits, a lane a column for the values. Grid: (heads, tokens, splits). With more than
// one split, y takes partial results for attention_combine.
#pragma once

#include "kernels/gpu/attention_parts.h"
#include "kernels/gpu/pages.h"
#include "kernels/gpu/weights.h"

enum { kAttendSimdgroups = 4, kAttendMaxDim = 512, kAttendMaxKey = 576, kAttendColumns = kAttendMaxDim / 32 };

// A weighted sum of values in progress: `sum` columns lane, lane + 32, ... over weights exp(logit - top).
struct Running {
  f32 top, total;
  f32 sum[kAttendColumns];
};

struct AttentionIo {
  const DEVICE u8* k;
  const DEVICE u8* v;
  const DEVICE i32* pages;  // of this sequence
  u32 kv_head;
};

struct KeyRange {
  u32 first, end;
};

// The last key that token t sees: its own, or up to the last of its sequence in the step.
FN u32 last_key(const CONSTANT AttentionParams& p, const DEVICE i32* positions, const DEVICE i32* sequences,
                u32 tokens, u32 t) {
  const u32 position = (u32)positions[t];
  if (p.causal) return position;
  while (t + 1 < tokens && sequences[t + 1] == sequences[t]) ++t;
  const u32 last = (u32)positions[t];
  return p.window > 0 && position + p.window - 1 < last ? position + p.window - 1 : last;
}

// What a token sees.
struct Sight {
  u32 position, last;
};

// Part `split` of the keys that a token sees, in whole chunks of 32.
FN KeyRange key_range(const CONSTANT AttentionParams& p, const THREAD Sight& sight, u32 split) {
  const u32 end = sight.last + 1;
  const u32 first = p.window > 0 && sight.position + 1 > p.window ? sight.position + 1 - p.window : 0;
  const u32 chunk0 = first / 32, chunks = ceil_div(end, 32) - chunk0, per_split = ceil_div(chunks, p.splits);
  KeyRange range;
  range.first = (chunk0 + split * per_split) * 32;
  range.end = range.first + per_split * 32;
  if (range.first < first) range.first = first;
  if (range.end > end) range.end = end;
  return range;
}

template <class K>
FN f32 logit(const CONSTANT AttentionParams& p, const DEVICE u8* key, const TGMEM f32* q) {
  f32 dot = 0.f;
  for (u32 i = 0; i < p.k_dim; i += 8) {
    f32 w[8];
    K::load8(key, i, p.k_dim, w);
    const u32 n = K::kTail && p.k_dim - i < 8 ? p.k_dim - i : 8;
    for (u32 j = 0; j < n; ++j) dot = g_fma(w[j], q[i + j], dot);
  }
  dot *= p.scale;
  return p.softcap > 0.f ? p.softcap * g_tanh(dot / p.softcap) : dot;
}

// Adds the keys [first, first + 32) within `range` to `r`. `weights` is this simdgroup's 32 floats.
template <class K, class V>
FN void attend_chunk(const CONSTANT AttentionParams& p, const THREAD AttentionIo& io, const TGMEM f32* q,
                     u32 first, const THREAD KeyRange& range, u32 lane, TGMEM f32* weights,
                     THREAD Running& r) {
  const u32 key = first + lane;
  f32 score = NO_LOGIT;
  if (key >= range.first && key < range.end)
    score = logit<K>(p, io.k + kv_offset(io.pages, key, io.kv_head, p.k_row_bytes, p.k_page_bytes), q);
  const f32 top = g_max(r.top, simd_max(score)), fade = g_exp(r.top - top);
  const f32 weight = score > NO_LOGIT ? g_exp(score - top) : 0.f;
  r.total = r.total * fade + simd_sum(weight);
  r.top = top;
  weights[lane] = weight;
  simd_fence();
  const u32 begin = first < range.first ? range.first - first : 0,
            end = range.end - first < 32 ? range.end - first : 32;
  UNROLL for (u32 c = 0; c < kAttendColumns; ++c) r.sum[c] *= fade;
  for (u32 i = begin; i < end; ++i) {
    const DEVICE u8* row = io.v + kv_offset(io.pages, first + i, io.kv_head, p.v_row_bytes, p.v_page_bytes);
    const f32 w = weights[i];
    UNROLL for (u32 c = 0; c < kAttendColumns; ++c) if (c * 32 + lane < p.v_dim) r.sum[c] =
        g_fma(w, V::value(row, c * 32 + lane), r.sum[c]);
  }
  simd_fence();
}

// The simdgroups' results as one, in simdgroup 0. `shared` holds kAttendSimdgroups x (v_dim + 2) floats.
FN void merge_simdgroups(const CONSTANT AttentionParams& p, u32 lane, u32 sg, TGMEM f32* shared,
                         THREAD Running& r) {
  TGMEM f32* mine = shared + sg * (p.v_dim + 2);
  if (lane == 0) mine[p.v_dim] = r.top, mine[p.v_dim + 1] = r.total;
  UNROLL for (u32 c = 0; c < kAttendColumns; ++c) if (c * 32 + lane < p.v_dim) mine[c * 32 + lane] = r.sum[c];
  tg_barrier();
  if (sg != 0) return;
  for (u32 other = 1; other < kAttendSimdgroups; ++other) {
    const TGMEM f32* theirs = shared + other * (p.v_dim + 2);
    const f32 top = g_max(r.top, theirs[p.v_dim]), fade = g_exp(r.top - top),
              gain = g_exp(theirs[p.v_dim] - top);
    r.total = r.total * fade + theirs[p.v_dim + 1] * gain;
    r.top = top;
    UNROLL for (u32 c = 0; c < kAttendColumns; ++c) if (c * 32 + lane < p.v_dim) r.sum[c] =
        r.sum[c] * fade + theirs[c * 32 + lane] * gain;
  }
}

template <class K, class V>
FN void attend(const CONSTANT AttentionParams& p, const THREAD AttentionIo& io, const THREAD Sight& sight,
               const THREAD Place& at, const TGMEM f32* q, TGMEM f32* weights, THREAD Running& r) {
  r.top = NO_LOGIT;
  r.total = 0.f;
  UNROLL for (u32 c = 0; c < kAttendColumns; ++c) r.sum[c] = 0.f;
  const KeyRange range = key_range(p, sight, at.z);
  for (u32 first = range.first / 32 * 32 + at.sg * 32; first < range.end; first += kAttendSimdgroups * 32)
    attend_chunk<K, V>(p, io, q, first, range, at.lane, weights + at.sg * 32, r);
}

// The finished row `at`, or with several splits their parts: v_dim sums, the top logit and the total weight.
FN void store_attention(const CONSTANT AttentionParams& p, const DEVICE f32* sinks, u32 head, u64 at,
                        u32 lane, DEVICE f32* y, THREAD Running& r) {
  const bool whole = p.splits == 1;
  const f32 scale = whole ? normalizer(p, sinks, head, r.top, r.total) : 1.f;
  DEVICE f32* to = y + at * (whole ? p.v_dim : p.v_dim + 2);
  UNROLL for (u32 c = 0; c < kAttendColumns; ++c) if (c * 32 + lane < p.v_dim) to[c * 32 + lane] =
      r.sum[c] * scale;
  if (!whole && lane == 0) to[p.v_dim] = r.top, to[p.v_dim + 1] = r.total;
}

#define ATTENTION(NAME, K, V)                                                                             \
  KERNEL(128)                                                                                             \
  NAME(PARAMS(AttentionParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences), \
       IN(4, i32, pages), IN(5, f32, q), IN(6, u8, k), IN(7, u8, v), IN(8, f32, sinks),                   \
       OUT(9, f32, y) GRID) {                                                                             \
    GRID_BEGIN                                                                                            \
    TGARRAY(f32, query, kAttendMaxKey);                                                                   \
    TGARRAY(f32, weights, kAttendSimdgroups * 32);                                                        \
    TGARRAY(f32, shared, kAttendSimdgroups*(kAttendMaxDim + 2));                                          \
    const u32 h = gk_tgid.x, t = gk_tgid.y;                                                               \
    if (t >= (u32)step->tokens) return;                                                                   \
    const Place at = PLACE;                                                                               \
    for (u32 i = gk_tid; i < p.k_dim; i += 128) query[i] = q[(u64)(t * p.heads + h) * p.k_dim + i];       \
    tg_barrier();                                                                                         \
    const AttentionIo io = {k, v, pages + (u64)sequences[t] * (u32)step->page_stride[p.group],            \
                            h / (p.heads / p.kv_heads)};                                                  \
    const Sight sight = {(u32)positions[t], last_key(p, positions, sequences, (u32)step->tokens, t)};     \
    Running r;                                                                                            \
    attend<K, V>(p, io, sight, at, query, weights, r);                                                    \
    merge_simdgroups(p, gk_lane, gk_sg, shared, r);                                                       \
    if (gk_sg != 0) return;                                                                               \
    store_attention(p, sinks, h, (u64)(t * p.heads + h) * p.splits + gk_tgid.z, gk_lane, y, r);           \
  }
