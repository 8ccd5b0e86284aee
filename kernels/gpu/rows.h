// Rows by index: those whose logits are wanted, and rows of the embedding table.
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/weights.h"

// y[r] = x[rows[r]]. Grid: (rows).
KERNEL(256)
gather_rows(PARAMS(GatherParams, p), IN(1, StepCounts, step), IN(2, i32, rows), IN(3, f32, x),
            OUT(4, f32, y) GRID) {
  GRID_BEGIN
  if (gk_tgid.x >= (u32)step->logit_rows) return;
  const u64 from = (u64)rows[gk_tgid.x] * p.dim, to = (u64)gk_tgid.x * p.dim;
  for (u32 i = gk_tid; i < p.dim; i += 256) y[to + i] = x[from + i];
}

template <class Format>
FN void embed_row(const CONSTANT EmbedParams& p, const DEVICE u8* row, DEVICE f32* y, u32 tid) {
  for (u32 k = tid * 8; k < p.dim; k += 128 * 8) {
    f32 w[8];
    Format::load8(row, k, p.dim, w);
    const u32 n = p.dim - k < 8 ? p.dim - k : 8;
    for (u32 i = 0; i < n; ++i) y[k + i] = p.scale * w[i];
  }
}

// y[t] = scale * table[rows[t]], the last row past the end. Grid: (tokens).
#define EMBED(NAME, FORMAT)                                                                          \
  KERNEL(128)                                                                                        \
  NAME(PARAMS(EmbedParams, p), IN(1, StepCounts, step), IN(2, i32, rows), IN(3, u8, table),          \
       OUT(4, f32, y) GRID) {                                                                        \
    GRID_BEGIN                                                                                       \
    const u32 t = gk_tgid.x;                                                                         \
    if (t >= (u32)step->tokens) return;                                                              \
    const u32 by = (u32)rows[t];                                                                     \
    embed_row<FORMAT>(p, table + (u64)(by > p.last ? p.last : by) * p.row_bytes, y + (u64)t * p.dim, \
                      gk_tid);                                                                       \
  }
