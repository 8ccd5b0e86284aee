// Attention over the matrix unit (FlashAttention-2, Dao 2023), for decoding and for prompts: logits and sums
// of values are 16 x 16 x 16 products of f16 with f32 sums, the maximum and the sum of weights run along
// (Milakov & Gimelshein 2018). A threadgroup takes 16 kTeam rows: a row is a token and one of the query heads
// that share a KV head, so keys and values are read once for all of them. A team of kTeam simdgroups, 16 rows
// each, walks along the keys, kKeys at a time; kTeams of them take turns, and what they found is joined.
// Long sequences are also split over threadgroups (Flash-Decoding, Dao et al. 2023), whose parts
// flash_combine joins. Grid: (kv heads, tiles of rows, splits).
//
// Keys, values and weights are f16 when they are multiplied: what is beyond its range counts as +-65504.
#pragma once

#include "kernels/gpu/flash_result.h"
#include "kernels/gpu/flash_rows.h"
#include "kernels/gpu/flash_tile.h"

#define FLASH_MASKED -1e38f  // the logit of a key that is not seen: exp2(it - FLASH_NO_TOP) is 0

// Sizes: of heads, up to `head` values; and how many teams of how many simdgroups a threadgroup has.
template <u32 head, u32 teams, u32 team>
struct FlashShape {
  enum {
    kHead = head,
    kTeams = teams,
    kTeam = team,
    kSimdgroups = teams * team,
    kTeamThreads = 32 * team,
    kRows = 16 * team,
    kKeys = team == 1     ? 16
            : head <= 128 ? 64
                          : 8192 / head,
    kSteps = head / 16,
    kLoads = team == 1 ? 32 : 16,  // words of dense keys that a thread has on their way
    kStride = head + 8,            // halves of a key in the tile: no bank conflicts, 16-byte rows
    kTile = kKeys * kStride,
    kRaw = kKeys * head / 32 * 34 + 16,  // bytes; words beyond the last are read, not used
    kColumns = head < 256 / kSimdgroups ? head : 256 / kSimdgroups,  // that are joined at once
    kJoin = 16 * kSimdgroups * kColumns * 2                          // halves
  };
};

struct FlashIo {
  const DEVICE i32* positions;
  const DEVICE f32* q;
  const DEVICE f32* sinks;
  const DEVICE f32* gamma;
  FlashSource k, v;
  DEVICE f32* y;     // (tokens, heads, v_dim)
  DEVICE f32* sums;  // (tokens, heads, splits, v_dim)
  DEVICE f32* tops;  // (tokens, heads, splits, 2)
  DEVICE u8* bytes;
};

// What a simdgroup knows of its 16 rows: the largest logit so far in units of log 2, this lane's share of the
// sum of weights, the position, and the sums of values.
template <class S>
struct FlashState {
  f32 top[MMA_ROWS], total[MMA_ROWS];
  i32 position[MMA_ROWS];
  MmaC o[S::kSteps];
};

// What its keys are multiplied with, and the team's share of them: tiles `tile`, tile + kTeams, ... < `end`.
template <class S>
struct FlashWalk {
  u32 tile, end;
  u32 keys_end;    // of all rows of the threadgroup
  FlashSpan mine;  // of this simdgroup's rows
  MmaA q[S::kSteps];
};

template <class S>
FN void team_sync() {
  if (S::kTeam == 1)
    simd_fence();
  else
    tg_barrier();
}

// Sixteen rows of q from row0 on, scaled for exp2, as f16 rows of kStride; zeros beyond the last and the
// head.
template <class S>
FN void stage_q(const CONSTANT AttentionParams& p, const DEVICE f32* from, const THREAD FlashRows& rows,
                u32 row0, u32 lane, TGMEM f16* stage) {
  enum { kRow = S::kHead / 8 };
  const f32 scale = p.softcap > 0.f ? p.scale / p.softcap : p.scale * FLASH_LOG2E;
  const bool wide = p.k_dim % 8 == 0;
  NO_UNROLL for (u32 i = lane; i < 16 * kRow; i += 32) {
    const u32 r = row0 + i / kRow, column = i % kRow * 8;
    u32 w[4] = {0, 0, 0, 0};
    if (r < rows.rows && column < p.k_dim && wide) {
      const DEVICE f32* row = from + (u64)row_head(rows, r) * p.k_dim + column;
      const f32x4 a = ld_f32x4(row), b = ld_f32x4(row + 4);
      w[0] = finite_pair(a.x * scale, a.y * scale);
      w[1] = finite_pair(a.z * scale, a.w * scale);
      w[2] = finite_pair(b.x * scale, b.y * scale);
      w[3] = finite_pair(b.z * scale, b.w * scale);
    }
    st_u32x4(stage + i / kRow * S::kStride + column, w);
    if (wide || r >= rows.rows) continue;
    for (u32 j = column; j < column + 8 && j < p.k_dim; ++j)
      stage[i / kRow * S::kStride + j] = to_f16(from[(u64)row_head(rows, r) * p.k_dim + j] * scale);
  }
}

// This simdgroup's rows of q as fragments, through the team's tile, which has room for kAtOnce of its
// members.
template <class S>
FN void load_q(const CONSTANT AttentionParams& p, const DEVICE f32* from, const THREAD FlashRows& rows,
               u32 member, u32 lane, TGMEM f16* tile, THREAD MmaA* q) {
  enum { kAtOnce = S::kKeys / 16, kRounds = S::kTeam / kAtOnce };
  TGMEM f16* stage = tile + member % kAtOnce * 16 * S::kStride;
  NO_UNROLL for (u32 round = 0; round < kRounds; ++round) {
    if (member / kAtOnce == round) {
      stage_q<S>(p, from, rows, member * 16, lane, stage);
      simd_fence();
      UNROLL for (u32 c = 0; c < S::kSteps; ++c) mma_load_a(q[c], stage + c * 16, S::kStride, lane);
    }
    team_sync<S>();
  }
}

// Logits of the keys from key0 on become weights, and what was summed so far fades.
template <class S>
FN void weigh(const CONSTANT AttentionParams& p, u32 key0, u32 keys_end, bool masked, u32 lane,
              THREAD MmaC* s, THREAD MmaA* weights, THREAD FlashState<S>& r) {
  enum { kTiles = S::kKeys / 16 };
  if (p.softcap > 0.f)
    UNROLL for (u32 n = 0; n < kTiles; ++n) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e)
        mma_set(s[n], e, p.softcap * FLASH_LOG2E * g_tanh_fast(mma_get(s[n], e)));
  const i32 ahead = p.causal ? 0 : p.window > 0 ? (i32)p.window - 1 : (i32)keys_end;
  if (masked) UNROLL for (u32 n = 0; n < kTiles; ++n) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
      const i32 key = (i32)(key0 + n * 16 + mma_col(e, lane)), at = r.position[mma_slot(e)];
      if (key > at + ahead || key >= (i32)keys_end || (p.window > 0 && key + (i32)p.window <= at))
        mma_set(s[n], e, FLASH_MASKED);
    }
  f32 top[MMA_ROWS], fade[MMA_ROWS];
  UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) top[i] = r.top[i];
  UNROLL for (u32 n = 0; n < kTiles; ++n) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) top[mma_slot(e)] =
      g_max(top[mma_slot(e)], mma_get(s[n], e));
  mma_row_max(top);
  UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) {
    fade[i] = g_exp2(r.top[i] - top[i]);
    r.top[i] = top[i];
    r.total[i] *= fade[i];
  }
  UNROLL for (u32 n = 0; n < kTiles; ++n) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const f32 weight = g_exp2(mma_get(s[n], e) - top[mma_slot(e)]);
    r.total[mma_slot(e)] += weight;
    mma_set(s[n], e, weight);
  }
  UNROLL for (u32 n = 0; n < kTiles; ++n) mma_to_a(weights[n], s[n]);
  bool fades = false;
  UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) fades = fades || fade[i] != 1.f;
  if (simd_any(fades))
    UNROLL for (u32 c = 0; c < S::kSteps; ++c) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e)
        mma_set(r.o[c], e, mma_get(r.o[c], e) * fade[mma_slot(e)]);
}

// Logits of the tile's keys.
template <class S>
FN void multiply_keys(THREAD FlashWalk<S>& w, const TGMEM f16* tile, u32 lane, THREAD MmaC* s) {
  UNROLL for (u32 n = 0; n < S::kKeys / 16; ++n) mma_zero(s[n]);
  UNROLL for (u32 c = 0; c < S::kSteps; ++c) UNROLL for (u32 n = 0; n < S::kKeys / 16; ++n) {
    MmaB b;
    mma_load_bt(b, tile + n * 16 * S::kStride + c * 16, S::kStride, lane);
    mma(s[n], w.q[c], b);
  }
}

template <class S>
FN void add_values(const TGMEM f16* tile, u32 lane, THREAD MmaA* weights, THREAD FlashState<S>& r) {
  UNROLL for (u32 n = 0; n < S::kKeys / 16; ++n) UNROLL for (u32 c = 0; c < S::kSteps; ++c) {
    MmaB b;
    mma_load_b(b, tile + n * 16 * S::kStride + c * 16, S::kStride, lane);
    mma(r.o[c], weights[n], b);
  }
}

// Member by member: a choice between structs would put them into memory.
FN FlashSource part_of(const THREAD FlashIo& io, bool values) {
  FlashSource s = io.k;
  if (values) {
    s.base = io.v.base;
    s.type = io.v.type;
    s.dim = io.v.dim;
    s.row_bytes = io.v.row_bytes;
    s.page_bytes = io.v.page_bytes;
  }
  return s;
}

// Adds the team's keys to what its rows have summed. raw, tile: the team's memory, in which keys and values
// take turns; tid: the thread in the team; copies: of its first keys.
template <class S>
FN void walk(const CONSTANT AttentionParams& p, const THREAD FlashIo& io, THREAD FlashWalk<S>& w, u32 tid,
             u32 lane, TGMEM u8* raw, TGMEM f16* tile, THREAD Copies& copies, THREAD FlashState<S>& r) {
  MmaA weights[S::kKeys / 16];
  bool values = false;
  NO_UNROLL for (u32 at = w.tile; at < w.end; values = !values) {
    const u32 key0 = at * S::kKeys;
    const bool seen = key0 < w.mine.end && key0 + S::kKeys > w.mine.first;
    wait_copies(copies);
    team_sync<S>();  // the copies are there, and the tile is free
    const FlashSource now = part_of(io, values), next = part_of(io, !values);
    flash_decode<S>(now, key0, w.keys_end, tid, raw, tile);
    team_sync<S>();
    if (values) at += S::kTeams;
    if (at < w.end) flash_request<S>(next, at * S::kKeys, tid, copies, raw);
    if (!seen) continue;
    if (values) {
      add_values<S>(tile, lane, weights, r);
    } else {
      MmaC s[S::kKeys / 16];
      multiply_keys<S>(w, tile, lane, s);
      weigh<S>(p, key0, w.keys_end, key0 + S::kKeys > w.mine.all_end || key0 < w.mine.all_first, lane, s,
               weights, r);
    }
  }
}

// What each simdgroup's sums count for in its rows: for finished rows, or for this split, whose top and sum
// of weights are stored. stats: (simdgroups, 16, 2), of which the first becomes the gain.
template <class S>
FN void find_gains(const CONSTANT AttentionParams& p, const THREAD FlashIo& io, const THREAD FlashRows& rows,
                   const THREAD Place& at, TGMEM f32* stats, THREAD FlashState<S>& r) {
  mma_row_sum(r.total);
  UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) if (mma_col(e, at.lane) == 0) {
    TGMEM f32* mine = stats + (at.sg * 16 + mma_row(e, at.lane)) * 2;
    mine[0] = r.top[mma_slot(e)];
    mine[1] = r.total[mma_slot(e)];
  }
  tg_barrier();
  if (at.tid >= S::kRows || at.tid >= rows.rows) return;
  TGMEM f32* of = stats + at.tid * 2;  // this thread's row, of each team
  f32 top = FLASH_NO_TOP, total = 0.f, norm = 1.f;
  for (u32 i = 0; i < S::kTeams; ++i) top = g_max(top, of[i * S::kRows * 2]);
  for (u32 i = 0; i < S::kTeams; ++i) {
    const f32 gain = g_exp2(of[i * S::kRows * 2] - top);
    total += of[i * S::kRows * 2 + 1] * gain;
    of[i * S::kRows * 2] = gain;
  }
  const u64 head = row_head(rows, at.tid);
  if (p.splits == 1) {
    norm = flash_normalizer(p, io.sinks, rows.head0 + (rows.first + at.tid) % rows.heads, top, total);
  } else {
    io.tops[(head * p.splits + at.z) * 2] = top;
    io.tops[(head * p.splits + at.z) * 2 + 1] = total;
  }
  for (u32 i = 0; i < S::kTeams; ++i) of[i * S::kRows * 2] *= norm;
}

// Adds up what the teams have, kColumns at a time, and stores it: a simdgroup 32 columns of a row.
template <class S>
FN void join(const CONSTANT FlashParams& f, const THREAD FlashIo& io, const THREAD FlashRows& rows,
             const THREAD Place& at, const TGMEM f32* stats, TGMEM f32* sums, THREAD FlashState<S>& r) {
  const CONSTANT AttentionParams& p = f.attention;
  enum { kParts = S::kColumns / 32, kOf = 16 * S::kColumns };
  NO_UNROLL for (u32 first = 0; first < p.v_dim; first += S::kColumns) {
    tg_barrier();
    UNROLL for (u32 c = 0; c < S::kSteps; ++c) if (c * 16 / S::kColumns * S::kColumns == first)
        UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e)
            sums[at.sg * kOf + mma_row(e, at.lane) * S::kColumns + c * 16 - first + mma_col(e, at.lane)] =
                mma_get(r.o[c], e);
    tg_barrier();
    NO_UNROLL for (u32 unit = at.sg; unit < rows.rows * kParts; unit += S::kSimdgroups) {
      const u32 row = unit / kParts, column = unit % kParts * 32 + at.lane;
      f32 sum = 0.f;
      UNROLL for (u32 i = 0; i < S::kTeams; ++i) sum =
          g_fma(sums[i * S::kTeam * kOf + row * S::kColumns + column], stats[(i * S::kRows + row) * 2], sum);
      const u32 head = row_head(rows, row);
      if (p.splits == 1)
        store_row(f, io.gamma, row_token(rows, row), head, first + column, sum, at.lane, io.y, io.bytes);
      else if (first + column < p.v_dim)
        io.sums[((u64)head * p.splits + at.z) * p.v_dim + first + column] = sum;
    }
  }
}

// This threadgroup's share of the tile's keys, for each team its part of them.
template <class S>
FN void share_keys(const CONSTANT AttentionParams& p, const THREAD FlashSpan& all, const THREAD Place& at,
                   THREAD FlashWalk<S>& w) {
  const u32 first = all.first / S::kKeys, end = ceil_div(all.end, S::kKeys);
  const u32 each = ceil_div(ceil_div(end - first, p.splits), S::kTeams) * S::kTeams;
  w.tile = first + at.z * each + at.sg / S::kTeam;
  w.end = first + (at.z + 1) * each < end ? first + (at.z + 1) * each : end;
  w.keys_end = all.end;
}

template <class S>
FN void flash_attention(const CONSTANT FlashParams& f, const THREAD FlashIo& io, const THREAD FlashRows& rows,
                        const THREAD Place& at, TGMEM f32* stats, TGMEM u8* raws, TGMEM f16* tiles) {
  const CONSTANT AttentionParams& p = f.attention;
  const u32 team = at.sg / S::kTeam, member = at.sg % S::kTeam;
  TGMEM f16* tile = tiles + team * S::kTile;
  TGMEM u8* raw = raws + team * S::kRaw;
  const u32 tid = at.tid % S::kTeamThreads;
  FlashWalk<S> w;
  FlashState<S> r;
  Copies copies;
  const FlashSpan all = rows_span(p, rows, io.positions, 0, S::kRows, at.lane);
  share_keys<S>(p, all, at, w);
  if (w.tile < w.end) flash_request<S>(io.k, w.tile * S::kKeys, tid, copies, raw);
  w.mine = all;
  if (S::kTeam > 1) w.mine = rows_span(p, rows, io.positions, member * 16, 16, at.lane);
  UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) r.top[i] = FLASH_NO_TOP, r.total[i] = 0.f, r.position[i] = -1;
  UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const u32 row = member * 16 + mma_row(e, at.lane);
    if (row < rows.rows) r.position[mma_slot(e)] = io.positions[row_token(rows, row)];
  }
  load_q<S>(p, io.q, rows, member, at.lane, tile, w.q);
  UNROLL for (u32 c = 0; c < S::kSteps; ++c) mma_zero(r.o[c]);
  walk<S>(p, io, w, tid, at.lane, raw, tile, copies, r);
  find_gains<S>(p, io, rows, at, stats, r);
  join<S>(f, io, rows, at, stats, (TGMEM f32*)tiles, r);
}

#define FLASH_ATTENTION(NAME, HEAD, TEAMS, TEAM, RESIDENT, THREADS)                                         \
  KERNEL_RESIDENT(THREADS, RESIDENT)                                                                        \
  NAME(PARAMS(FlashParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences),       \
       IN(4, i32, starts), IN(5, i32, pages), IN(6, f32, q), IN(7, u8, k), IN(8, u8, v), IN(9, f32, sinks), \
       IN(10, f32, gamma), OUT(11, f32, y), OUT(12, f32, sums), OUT(13, f32, tops),                         \
       OUT(14, u8, bytes) GRID) {                                                                           \
    GRID_BEGIN_EARLY                                                                                        \
    launch_next();                                                                                          \
    typedef FlashShape<HEAD, TEAMS, TEAM> Shape;                                                            \
    TGARRAY(f32, stats, Shape::kSimdgroups * 32);                                                           \
    TGARRAY(u8, raws, Shape::kRaw* TEAMS);                                                                  \
    TGARRAY(f16, tiles, Shape::kTile* TEAMS > Shape::kJoin ? Shape::kTile * TEAMS : Shape::kJoin);          \
    const CONSTANT AttentionParams& a = p.attention;                                                        \
    const u32 kv_head = gk_tgid.x;                                                                          \
    const FlashRows rows = find_rows(p, step, starts, gk_tgid.y, Shape::kRows, kv_head);                    \
    const u32 sequence = rows.rows ? (u32)sequences[rows.token] : 0;                                        \
    const Place at = PLACE;                                                                                 \
    const DEVICE i32* table = pages + (u64)sequence * (u32)step->page_stride[a.group];                      \
    wait_previous();                                                                                        \
    if (rows.rows == 0) return;                                                                             \
    const FlashIo io = {positions,                                                                          \
                        q,                                                                                  \
                        sinks,                                                                              \
                        gamma,                                                                              \
                        {k, table, p.k_type, kv_head, a.k_dim, a.k_row_bytes, a.k_page_bytes},              \
                        {v, table, p.v_type, kv_head, a.v_dim, a.v_row_bytes, a.v_page_bytes},              \
                        y,                                                                                  \
                        sums,                                                                               \
                        tops,                                                                               \
                        bytes};                                                                             \
    flash_attention<Shape>(p, io, rows, at, stats, raws, tiles);                                            \
  }
