// Which rows a threadgroup of flash_attention.h takes. A row is a token of the step and one of the query
// heads that share a KV head. Tokens of one sequence that lie one behind the other are a run, which the host
// finds (StepCounts::runs); tiles are cut within runs, so all rows of a tile read the same cache.
#pragma once

#include "kernels/gpu/common.h"

// Rows of a run are fewer than 2^20, so that they can be divided by way of f32.
struct FlashRows {
  u32 token;        // the run's first
  u32 first, rows;  // of the run: the tile's first row, and how many it has from there
  u32 heads;        // that share the KV head
  f32 per_head;     // 1 / heads
  u32 head0;        // the first of them
  u32 all_heads;    // of a token
  u32 end;          // the token after the run
};

// Positions of keys that rows see: some row from `first` on and before `end`, every one from all_first on and
// before all_end.
struct FlashSpan {
  u32 first, end, all_first, all_end;
};

FN u32 row_token(const THREAD FlashRows& t, u32 r) {
  return t.token + (u32)(((f32)(t.first + r) + 0.5f) * t.per_head);
}
// Of the query heads of the step, as if they were in one row.
FN u32 row_head(const THREAD FlashRows& t, u32 r) {
  const u32 token = row_token(t, r);
  return token * t.all_heads + t.head0 + (t.first + r - (token - t.token) * t.heads);
}

// Tile `number` of all runs, or one without rows. `starts`: the first token of each run, and the step's
// tokens. Within a run the last comes first: it sees the most keys.
FN FlashRows find_rows(const CONSTANT FlashParams& p, const DEVICE StepCounts* step, const DEVICE i32* starts,
                       u32 number, u32 tile_rows, u32 kv_head) {
  const u32 runs = (u32)step->runs, heads = p.shared_heads;
  FlashRows t = {0, 0, 0, heads, p.per_shared_head, kv_head * heads, p.attention.heads, 0};
  u32 run = 0;
  if (runs == (u32)step->tokens && heads <= tile_rows) {  // decoding: no need to walk
    run = number;
    number = 0;
  }
  for (; run < runs; ++run) {
    const u32 token = (u32)starts[run], rows = ((u32)starts[run + 1] - token) * heads;
    const u32 tiles = ceil_div(rows, tile_rows);
    if (number < tiles) {
      t.token = token;
      t.end = (u32)starts[run + 1];
      t.first = (tiles - 1 - number) * tile_rows;
      t.rows = rows - t.first < tile_rows ? rows - t.first : tile_rows;
      break;
    }
    number -= tiles;
  }
  return t;
}

FN u32 window_start(u32 position, u32 window) {
  return window > 0 && position + 1 > window ? position + 1 - window : 0;
}

// Of rows r0 .. r0 + n - 1, as far as there are. Positions are exact as f32: below 2^24.
FN FlashSpan rows_span(const CONSTANT AttentionParams& p, const THREAD FlashRows& t,
                       const DEVICE i32* positions, u32 r0, u32 n, u32 lane) {
  f32 last = -1.f, first = -16777216.f;
  for (u32 r = r0 + lane; r < r0 + n && r < t.rows; r += 32) {
    const f32 at = (f32)positions[row_token(t, r)];
    last = g_max(last, at);
    first = g_max(first, -at);
  }
  last = simd_max(last);
  first = -simd_max(first);
  FlashSpan s = {0, 0, 0, 0};
  if (last < 0.f) return s;
  s.first = window_start((u32)first, p.window);
  s.end = (u32)last + 1;
  s.all_first = window_start((u32)last, p.window);
  s.all_end = (u32)first + 1;
  if (!p.causal) {  // as far as the window goes on, but not past the run
    const u32 run = (u32)positions[t.end - 1] + 1, ahead = p.window > 0 ? p.window - 1 : run;
    s.end = s.end + ahead < run ? s.end + ahead : run;
    s.all_end = s.all_end + ahead < run ? s.all_end + ahead : run;
  }
  return s;
}
