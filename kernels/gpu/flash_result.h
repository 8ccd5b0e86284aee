// What flash_attention.h and flash_combine.h store: finished rows, also as bytes.
#pragma once

#include "kernels/gpu/int8_rows.h"

#define FLASH_LOG2E 1.44269504f
#define FLASH_NO_TOP -1e37f  // the top logit of a row without keys

// 1 / (sum of all weights), with the sink's, relative to weights of exp2(logit - top).
FN f32 flash_normalizer(const CONSTANT AttentionParams& p, const DEVICE f32* sinks, u32 head, f32 top,
                        f32 total) {
  if (!p.has_sinks) return 1.f / total;
  // A sink far above every key would overflow: then the keys weigh nothing.
  const f32 over = sinks[head] * FLASH_LOG2E - top;
  return over > 120.f ? 0.f : 1.f / (total + g_exp2(over));
}

// Column `column` of query head `head`, counted over all tokens' heads, of a token: one of 32 neighbours a
// lane.
FN void store_row(const CONSTANT FlashParams& f, const DEVICE f32* gamma, u32 token, u32 head, u32 column,
                  f32 v, u32 lane, DEVICE f32* y, DEVICE u8* bytes) {
  const CONSTANT AttentionParams& p = f.attention;
  if (column < p.v_dim) y[(u64)head * p.v_dim + column] = v;
  if (!f.bytes || column >= p.v_dim) return;  // bytes need heads of whole groups
  const u32 width = p.heads * p.v_dim, at = (head - token * p.heads) * p.v_dim + column;
  store_int8(bytes + (u64)token * int8_row_bytes(width), width, at, f.has_gamma ? v * gamma[at] : v, v * v,
             lane);
}
