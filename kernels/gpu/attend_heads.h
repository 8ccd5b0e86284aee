// All that lies between the products of queries, keys and values and attention, for one token: norm of each
// head, rotary embedding, and the stores to the KV cache. One simdgroup a head, four a threadgroup, first the
// queries' heads, then the keys', then the values'. Grid: (heads of all three / 4, tokens).
#pragma once

#include "kernels/gpu/heads.h"
#include "kernels/gpu/pages.h"
#include "kernels/gpu/weights.h"

struct AttendIo {
  HeadIo q, k;              // of the first head of the token
  const DEVICE f32* v;      // the same
  DEVICE f32* y;            // the finished queries
  DEVICE f32* keys;         // room for the finished keys: encoders read device memory
  const DEVICE i32* pages;  // of the sequence
  u32 position;
};

// Encodes a head: a lane a block.
template <class Format>
struct HeadStore {
  enum { kGrain = Format::kLength };  // neighbouring values that a lane reads
  static FN void store(DEVICE u8* to, u32 dim, u32 lane, const DEVICE f32* x) {
    for (u32 b = lane; b < dim / Format::kLength; b += 32) Format::store_block(to, b, x);
  }
};

// The same bytes with a lane for each value.
template <>
struct HeadStore<Rows<medlar::formats::BlockQ8_0>> {
  enum { kGrain = 1 };
  static FN void store(DEVICE u8* to, u32 dim, u32 lane, const DEVICE f32* x) {
    DEVICE medlar::formats::BlockQ8_0* blocks = (DEVICE medlar::formats::BlockQ8_0*)to;
    for (u32 b = 0; b < dim / 32; ++b) {
      const f32 v = x[b * 32 + lane], top = simd_max(g_abs(v));
      const f32 d = simd_any(v != v) ? bits_f32(0x7FC00000u) : top / 127;
      blocks[b].codes[lane] = (i8)medlar::formats::round_code(v * medlar::formats::inverse(d), 127);
      if (lane == 0) blocks[b].d = (u16)f16_pair(d, 0.f);
    }
  }
};

template <class Format>
FN void store_head(const CONSTANT StoreParams& p, const THREAD AttendIo& io, u32 h, u32 lane,
                   const DEVICE f32* x, DEVICE u8* cache) {
  DEVICE u8* to = cache + kv_offset(io.pages, io.position, h, p.row_bytes, p.page_bytes);
  HeadStore<Format>::store(to, p.dim, lane, x);
}

template <class K, class V>
FN void attend_head(const CONSTANT AttendParams& p, const THREAD AttendIo& io, u32 h, u32 lane,
                    TGMEM f32* head, DEVICE u8* k_cache, DEVICE u8* v_cache) {
  if (h < p.q.heads) {
    const HeadIo at = {io.q.x + h * p.q.dim, io.q.weight, io.q.inv_freq, io.q.position};
    finish_head(p.q, at, lane, head);
    for (u32 i = lane; i < p.q.dim; i += 32) io.y[h * p.q.dim + i] = head[i];
    return;
  }
  h -= p.q.heads;
  if (h < p.k.heads) {
    const HeadIo at = {io.k.x + h * p.k.dim, io.k.weight, io.k.inv_freq, io.k.position};
    finish_head(p.k, at, lane, head);
    enum { kGrain = HeadStore<K>::kGrain };
    DEVICE f32* key = io.keys + h * p.k.dim;
    // A lane reads back only what it wrote.
    for (u32 b = lane; b < p.k.dim / kGrain; b += 32)
      for (u32 i = b * kGrain; i < (b + 1) * kGrain; ++i) key[i] = head[i];
    return store_head<K>(p.key, io, h, lane, key, k_cache);
  }
  h -= p.k.heads;
  if (h < p.value.heads) store_head<V>(p.value, io, h, lane, io.v + h * p.value.dim, v_cache);
}

#define ATTEND_HEADS(NAME, K, V)                                                                            \
  KERNEL(128)                                                                                               \
  NAME(PARAMS(AttendParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences),      \
       IN(4, i32, pages), IN(5, f32, q), IN(6, f32, k), IN(7, f32, v), IN(8, f32, q_weight),                \
       IN(9, f32, k_weight), IN(10, f32, q_freq), IN(11, f32, k_freq), OUT(12, f32, y), OUT(13, f32, keys), \
       OUT(14, u8, k_cache), OUT(15, u8, v_cache) GRID) {                                                   \
    GRID_BEGIN_EARLY                                                                                        \
    launch_next();                                                                                          \
    TGARRAY(f32, storage, kHeadSimdgroups* kMaxHeadDim);                                                    \
    const u32 t = gk_tgid.y;                                                                                \
    const bool inside = t < (u32)step->tokens;                                                              \
    const i32 at = inside ? positions[t] : 0, sequence = inside ? sequences[t] : 0;                         \
    wait_previous();                                                                                        \
    if (!inside) return;                                                                                    \
    const u64 queries = (u64)t * p.q.heads * p.q.dim, key = (u64)t * p.k.heads * p.k.dim;                   \
    const f32 position = (f32)at;                                                                           \
    const AttendIo io = {{q + queries, q_weight, q_freq, position},                                         \
                         {k + key, k_weight, k_freq, position},                                             \
                         v + (u64)t * p.value.heads * p.value.dim,                                          \
                         y + queries,                                                                       \
                         keys + key,                                                                        \
                         pages + (u64)sequence * (u32)step->page_stride[p.key.group],                       \
                         (u32)at};                                                                          \
    attend_head<K, V>(p, io, gk_tgid.x * kHeadSimdgroups + gk_sg, gk_lane, storage + gk_sg * kMaxHeadDim,   \
                      k_cache, v_cache);                                                                    \
  }
