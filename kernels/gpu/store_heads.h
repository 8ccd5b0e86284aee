// Keys or values into the pages of the KV cache, encoded as the cache stores them; one thread a block.
// Grid: (blocks of a token / 128, tokens).
#pragma once

#include "kernels/gpu/pages.h"
#include "kernels/gpu/weights.h"

#define STORE_HEADS(NAME, FORMAT)                                                                     \
  KERNEL(128)                                                                                         \
  NAME(PARAMS(StoreParams, p), IN(1, StepCounts, step), IN(2, i32, positions), IN(3, i32, sequences), \
       IN(4, i32, pages), IN(5, f32, x), OUT(6, u8, cache) GRID) {                                    \
    GRID_BEGIN                                                                                        \
    const u32 blocks = p.dim / FORMAT::kLength, i = gk_tgid.x * 128 + gk_tid, t = gk_tgid.y;          \
    const u32 h = i / blocks, b = i % blocks;                                                         \
    if (h >= p.heads || t >= (u32)step->tokens) return;                                               \
    const DEVICE i32* table = pages + (u64)sequences[t] * (u32)step->page_stride[p.group];            \
    const u64 to = kv_offset(table, (u32)positions[t], h, p.row_bytes, p.page_bytes);                 \
    FORMAT::store_block(cache + to, b, x + ((u64)t * p.heads + h) * p.dim);                           \
  }
