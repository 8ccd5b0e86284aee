// The best of each row of logits, so that the host need not read the others. A threadgroup lists the best of
// a part of a row; then the lists are a shorter row, until there is one. Lists are in the order of tokens, of
// equal logits lower tokens are better, and what is not a number or -infinity is in none. Places that stay
// free have the token -1. Grid: (parts, rows).
#pragma once

#include "kernels/gpu/common.h"

enum { kBestThreads = 256, kBestGroups = kBestThreads / 32, kBestShare = kBestPart / kBestThreads };

// Greater for better logits; 0 for what cannot be chosen.
FN u32 best_key(f32 logit) {
  if (!(logit >= -3.40282347e38f)) return 0;
  const u32 bits = bits_u32(logit + 0.f);  // -0 equals 0
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

FN f32 logit_of(u32 key) { return bits_f32(key >> 31 ? key & 0x7FFFFFFFu : ~key); }

FN void load_keys(const DEVICE f32* logits, u32 first, u32 n, THREAD u32* key) {
  if (n % 4 == 0) {
    UNROLL for (u32 i = 0; i < kBestShare; i += 4) {
      key[i] = key[i + 1] = key[i + 2] = key[i + 3] = 0;
      if (first + i >= n) continue;
      const f32x4 v = ld_f32x4(logits + first + i);
      key[i] = best_key(v.x), key[i + 1] = best_key(v.y);
      key[i + 2] = best_key(v.z), key[i + 3] = best_key(v.w);
    }
    return;
  }
  UNROLL for (u32 i = 0; i < kBestShare; ++i) key[i] = first + i < n ? best_key(logits[first + i]) : 0;
}

FN void load_keys(const DEVICE TokenLogit* list, u32 first, u32 n, THREAD u32* key) {
  UNROLL for (u32 i = 0; i < kBestShare; ++i) key[i] = first + i < n ? best_key(list[first + i].logit) : 0;
}

// The largest key that at least kBest keys of the group reach, or a smaller one that only so many reach; 1
// where there are not so many. Bit by bit from the highest.
FN u32 least_key(const THREAD u32* key, TGMEM f32* scratch, u32 lane, u32 sg) {
  u32 least = 0;
  for (u32 bit = 0x80000000u, turn = 0; bit; bit >>= 1, turn ^= kBestGroups) {
    f32 mine = 0.f;
    UNROLL for (u32 i = 0; i < kBestShare; ++i) mine += key[i] >= (least | bit) ? 1.f : 0.f;
    const f32 count = group_sum(mine, scratch + turn, kBestGroups, lane, sg);
    if (count >= (f32)kBest) least |= bit;
    if (count == (f32)kBest) break;
  }
  return least ? least : 1;
}

// Where in the list a thread's keys go. Those above the least key are all in it, those equal to it as far as
// there is room.
struct BestPlaces {
  u32 above, equal;  // of lower threads
  u32 room;          // for equal ones
  bool any;          // of this thread
  u32 used;          // places of the list, by all threads
};

FN BestPlaces best_places(const THREAD u32* key, u32 least, TGMEM u32* values, TGMEM u32* sums, u32 tid) {
  u32 mine = 0;  // above << 16 | equal
  UNROLL for (u32 i = 0; i < kBestShare; ++i) mine += key[i] > least ? 0x10000u : key[i] == least ? 1u : 0u;
  const u32 before = running_sum(mine, values, sums, tid) - mine;
  u32 all = 0;
  for (u32 i = 0; i < kBestGroups; ++i) all += sums[i];
  const u32 room = kBest - (all >> 16), equal = all & 0xFFFFu;
  BestPlaces places = {before >> 16, before & 0xFFFFu, room, mine != 0,
                       (all >> 16) + (equal < room ? equal : room)};
  return places;
}

FN i32 token_of(const DEVICE f32*, u32 i) { return (i32)i; }
FN i32 token_of(const DEVICE TokenLogit* list, u32 i) { return list[i].token; }

// `from`: the row's logits, or its lists.
template <class From>
FN void write_best(From from, const THREAD u32* key, u32 first, u32 least, THREAD BestPlaces& at,
                   DEVICE TokenLogit* list) {
  UNROLL for (u32 i = 0; i < kBestShare; ++i) {
    const bool above = key[i] > least, equal = key[i] == least && at.equal < at.room;
    const u32 place = at.above + (at.equal < at.room ? at.equal : at.room);
    if (above || equal) {
      list[place].token = token_of(from, first + i);
      list[place].logit = logit_of(key[i]);
    }
    at.above += above ? 1 : 0, at.equal += equal ? 1 : 0;
  }
}

KERNEL(256)
best_logits(PARAMS(BestParams, p), IN(1, StepCounts, step), IN(2, f32, logits), IN(3, TokenLogit, lists),
            OUT(4, TokenLogit, best) GRID) {
  GRID_BEGIN
  TGARRAY(f32, scratch, 2 * kBestGroups);
  TGARRAY(u32, values, kBestThreads);
  TGARRAY(u32, sums, kBestGroups);
  const u32 row = gk_tgid.y, first = gk_tgid.x * kBestPart + gk_tid * kBestShare;
  if (row >= (u32)step->logit_rows) return;
  u32 key[kBestShare];
  if (p.merge)
    load_keys(lists + (u64)row * p.n, first, p.n, key);
  else
    load_keys(logits + (u64)row * p.n, first, p.n, key);
  const u32 least = least_key(key, scratch, gk_lane, gk_sg);
  BestPlaces at = best_places(key, least, values, sums, gk_tid);
  DEVICE TokenLogit* list = best + ((u64)row * ceil_div(p.n, kBestPart) + gk_tgid.x) * kBest;
  if (at.any && p.merge) write_best(lists + (u64)row * p.n, key, first, least, at, list);
  if (at.any && !p.merge) write_best(logits + (u64)row * p.n, key, first, least, at, list);
  if (gk_tid >= at.used && gk_tid < kBest) {
    list[gk_tid].token = -1;
    list[gk_tid].logit = bits_f32(0xFF800000u);  // -infinity, so that no list takes it over
  }
}
