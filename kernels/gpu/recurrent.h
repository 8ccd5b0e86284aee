// Operations whose state goes from token to token (kernels/args.h): short convolutions, a thread a channel,
// and gated linear recurrences, a threadgroup for 32 columns of a head's state, which stay in registers while
// a sequence's tokens go by.
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/pages.h"

enum { kMaxConvWidth = 8, kScanColumns = 32, kMaxScanKeys = 256 };

// The tokens of one sequence in the step.
struct StateRun {
  u32 begin, end, first;    // the position of token `begin`
  const DEVICE i32* pages;  // of the sequence
};

FN StateRun state_run(const DEVICE StepCounts* step, const DEVICE i32* positions, const DEVICE i32* sequences,
                      const DEVICE i32* runs, const DEVICE i32* pages, u32 group, u32 run) {
  const u32 begin = (u32)runs[run];
  const StateRun r = {begin, (u32)runs[run + 1], (u32)positions[begin],
                      pages + (u64)sequences[begin] * (u32)step->page_stride[group]};
  return r;
}

// Whether the state after token t is to be stored, in page `page`.
FN bool keeps_state(const THREAD StateRun& run, u32 t, THREAD i32& page) {
  const u32 position = run.first + (t - run.begin);
  if (t + 1 != run.end && (position + 1) % kPageTokens != 0) return false;
  page = run.pages[position / kPageTokens];
  return page >= 0;
}

// Grid: (channels / 128, runs).
KERNEL(128)
short_conv(PARAMS(ShortConvParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences),
           IN(4, i32, runs), IN(5, i32, pages), IN(6, f32, x), IN(7, f32, weight), IN(8, f32, bias),
           OUT(9, f32, y), OUT(10, u8, states) GRID) {
  GRID_BEGIN
  const u32 c = gk_tgid.x * 128 + gk_tid;
  if (gk_tgid.y >= (u32)step->runs || c >= p.channels) return;
  const StateRun run = state_run(step, positions, sequences, runs, pages, p.group, gk_tgid.y);
  // The latest input first.
  f32 w[kMaxConvWidth], tail[kMaxConvWidth - 1];
  UNROLL for (u32 j = 0; j < kMaxConvWidth; ++j) w[j] =
      j < p.width ? weight[(u64)c * p.width + (p.width - 1 - j)] : 0.f;
  UNROLL for (u32 j = 0; j < kMaxConvWidth - 1; ++j) tail[j] = 0.f;
  if (run.first > 0) {
    const u64 from = (u64)run.pages[(run.first - 1) / kPageTokens] * p.page_bytes;
    const DEVICE f32* state = (const DEVICE f32*)(states + from);
    UNROLL for (u32 j = 0; j < kMaxConvWidth - 1; ++j) if (j + 1 < p.width) tail[j] =
        state[(u64)(p.width - 2 - j) * p.channels + c];
  }
  for (u32 t = run.begin; t < run.end; ++t) {
    const f32 now = x[(u64)t * p.channels + c];
    f32 sum = p.has_bias ? bias[c] : 0.f;
    sum = g_fma(w[0], now, sum);
    UNROLL for (u32 j = 0; j < kMaxConvWidth - 1; ++j) sum = g_fma(w[j + 1], tail[j], sum);
    y[(u64)t * p.channels + c] = gated(p.activation, sum, 1.f);
    UNROLL for (u32 j = kMaxConvWidth - 2; j > 0; --j) tail[j] = tail[j - 1];
    tail[0] = now;
    i32 page = 0;
    if (!keeps_state(run, t, page)) continue;
    DEVICE f32* state = (DEVICE f32*)(states + (u64)page * p.page_bytes);
    UNROLL for (u32 j = 0; j < kMaxConvWidth - 1; ++j) if (j + 1 < p.width)
        state[(u64)(p.width - 2 - j) * p.channels + c] = tail[j];
  }
}

FN f32 softplus(f32 x) { return g_max(x, 0.f) + g_log(1.f + g_exp(-g_abs(x))); }

// Row i of the state is row i / 4 of simdgroup i % 4, column a lane. Grid: (columns / 32, heads, runs).
KERNEL(128)
scan(PARAMS(ScanParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences),
     IN(4, i32, runs), IN(5, i32, pages), IN(6, f32, x), IN(7, f32, a), IN(8, f32, rate), IN(9, f32, bias),
     IN(10, f32, last), OUT(11, f32, y), OUT(12, u8, states) GRID) {
  GRID_BEGIN
  TGARRAY(f32, q, kMaxScanKeys);
  TGARRAY(f32, k, kMaxScanKeys);
  TGARRAY(f32, q_sums, 4);
  TGARRAY(f32, k_sums, 4);
  TGARRAY(f32, known, 128);
  TGARRAY(f32, read, 128);
  if (gk_tgid.z >= (u32)step->runs) return;
  const StateRun run = state_run(step, positions, sequences, runs, pages, p.group, gk_tgid.z);
  const u32 h = gk_tgid.y, column = gk_tgid.x * kScanColumns + gk_lane;
  const u32 key_head = p.interleaved ? h % p.key_heads : h / (p.heads / p.key_heads);
  const bool inside = column < p.value_dim;
  const u64 place = (u64)h * p.key_dim * p.value_dim + column;
  f32 s[kMaxScanKeys / 4];
  UNROLL for (u32 r = 0; r < kMaxScanKeys / 4; ++r) s[r] = 0.f;
  if (run.first > 0 && inside) {
    const u64 from = (u64)run.pages[(run.first - 1) / kPageTokens] * p.page_bytes;
    const DEVICE f32* state = (const DEVICE f32*)(states + from) + place;
    UNROLL for (u32 r = 0; r < kMaxScanKeys / 4; ++r) if (r * 4 + gk_sg < p.key_dim) s[r] =
        state[(u64)(r * 4 + gk_sg) * p.value_dim];
  }
  for (u32 t = run.begin; t < run.end; ++t) {
    const DEVICE f32* row = x + (u64)t * p.width;
    f32 q_squares = 0.f, k_squares = 0.f;
    for (u32 i = gk_tid; i < p.key_dim; i += 128) {
      q[i] = row[p.q_at + key_head * p.key_dim + i];
      k[i] = row[p.k_at + key_head * p.key_dim + i];
      q_squares = g_fma(q[i], q[i], q_squares);
      k_squares = g_fma(k[i], k[i], k_squares);
    }
    const f32 q_length = group_sum(q_squares, q_sums, 4, gk_lane, gk_sg) + p.eps;
    const f32 k_length = group_sum(k_squares, k_sums, 4, gk_lane, gk_sg) + p.eps;
    const f32 k_by = p.delta ? g_rsqrt(k_length) : 1.f;
    const f32 q_by = p.delta ? p.scale * g_rsqrt(q_length) : p.scale;
    const f32 d = softplus(a[(u64)t * p.heads + h] + bias[h]), fade = g_exp(rate[h] * d);
    const f32 v = inside ? row[p.v_at + h * p.value_dim + column] : 0.f;
    f32 u = d * v;
    if (p.delta) {
      f32 part = 0.f;
      UNROLL for (u32 r = 0; r < kMaxScanKeys / 4; ++r) if (r * 4 + gk_sg < p.key_dim) part =
          g_fma(k[r * 4 + gk_sg], s[r], part);
      known[gk_tid] = part;
      tg_barrier();
      for (u32 i = 1; i < 4; ++i) part += known[(gk_tid + i * 32) % 128];
      u = sigmoid(last[(u64)t * p.heads + h]) * (v - fade * k_by * part);
    }
    u *= k_by;
    f32 out = 0.f;
    UNROLL for (u32 r = 0; r < kMaxScanKeys / 4; ++r) if (r * 4 + gk_sg < p.key_dim) {
      s[r] = g_fma(k[r * 4 + gk_sg], u, fade * s[r]);
      out = g_fma(q[r * 4 + gk_sg], s[r], out);
    }
    read[gk_tid] = out;
    tg_barrier();
    if (gk_sg == 0 && inside) {
      for (u32 i = 1; i < 4; ++i) out += read[gk_tid + i * 32];
      y[((u64)t * p.heads + h) * p.value_dim + column] = out * q_by + (p.delta ? 0.f : last[h] * v);
    }
    i32 page = 0;
    if (!keeps_state(run, t, page) || !inside) continue;
    DEVICE f32* state = (DEVICE f32*)(states + (u64)page * p.page_bytes) + place;
    UNROLL for (u32 r = 0; r < kMaxScanKeys / 4; ++r) if (r * 4 + gk_sg < p.key_dim)
        state[(u64)(r * 4 + gk_sg) * p.value_dim] = s[r];
  }
}
