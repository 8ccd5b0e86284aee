// Rows of activations as f16 for tile products, RMS-normalised first if asked. Each row is divided by a power
// of two that puts its largest magnitude near 2^13: f16 alone overflows on models with large activations
// (Gemma). Rows lie as those who read them want it (PrepareParams::layout), with zeros behind
// them. One threadgroup a vector. Grid: (vectors).
#pragma once

#include "kernels/gpu/lane_units.h"
#include "kernels/gpu/swizzled_tiles.h"

// The power of two s with 2^13 <= top / s < 2^14, within f32's exponents; 1 for a row of zeros.
FN f32 row_scale(f32 top) {
  const u32 exponent = bits_u32(top) >> 23;
  return exponent == 0 ? 1.f : bits_f32((exponent > 13 ? exponent - 13 : 1u) << 23);
}

// Eight values of a row from i on, and zeros behind its end.
FN void load_values(u32 dim, const DEVICE f32* x, u32 i, THREAD f32* out) {
  if (dim % 8 == 0 && i < dim) {
    UNROLL for (u32 j = 0; j < 8; j += 4) {
      const f32x4 v = ld_f32x4(x + i + j);
      out[j] = v.x, out[j + 1] = v.y, out[j + 2] = v.z, out[j + 3] = v.w;
    }
  } else {
    UNROLL for (u32 j = 0; j < 8; ++j) out[j] = i + j < dim ? x[i + j] : 0.f;
  }
}

// The same times the norm's weight, where there is one, which lies in the file at any multiple of four bytes.
FN void apply_weight(const CONSTANT PrepareParams& p, const DEVICE f32* weight, u32 i, THREAD f32* v) {
  if (!p.has_weight) return;
  UNROLL for (u32 j = 0; j < 8; ++j) v[j] = i + j < p.dim ? v[j] * weight[i + j] : 0.f;
}

KERNEL(256)
prepare(PARAMS(PrepareParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, f32, weight), OUT(4, u8, y),
        OUT(5, f32, scales) GRID) {
  GRID_BEGIN
  TGARRAY(f32, sums, 8);
  TGARRAY(f32, tops, 8);
  const u32 row = gk_tgid.x;
  if (row >= row_count(step, p.rows) * p.per_row) return;
  const DEVICE f32* from = x + (u64)row * p.dim;
  f32 squares = 0.f, top = 0.f, v[8];
  for (u32 i = gk_tid * 8; i < p.dim; i += 256 * 8) {
    load_values(p.dim, from, i, v);
    UNROLL for (u32 j = 0; j < 8; ++j) squares = g_fma(v[j], v[j], squares);
    apply_weight(p, weight, i, v);
    UNROLL for (u32 j = 0; j < 8; ++j) top = g_max(top, g_abs(v[j]));
  }
  f32 norm = 1.f;
  if (p.norm) norm = g_rsqrt(group_sum(squares, sums, 8, gk_lane, gk_sg) / (f32)p.dim + p.eps);
  const f32 scale = row_scale(group_max(top, tops, 8, gk_lane, gk_sg) * norm);
  const f32 factor = norm / scale;
  const u32 unit = p.layout == kLayoutTiles ? kSwizzledColumns : p.layout == kLayoutLanes ? kLaneColumns : 8;
  const u32 stride = ceil_div(p.dim, unit) * unit;
  for (u32 i = gk_tid * 8; i < stride; i += 256 * 8) {
    load_values(p.dim, from, i, v);
    apply_weight(p, weight, i, v);
    UNROLL for (u32 j = 0; j < 8; ++j) v[j] *= factor;
    u32 words[4];
    f16_words(v, words);
    const u64 at = p.layout == kLayoutTiles   ? swizzled_unit(row, i, stride / kSwizzledColumns)
                   : p.layout == kLayoutLanes ? lane_unit_of(row, i, p.row_blocks)
                                              : ((u64)row * stride + i) / 8;
    st_u32x4(y + at * 16, words);
  }
  if (gk_tid == 0) scales[row] = scale;
}
