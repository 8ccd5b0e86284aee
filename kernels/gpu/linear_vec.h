// y = x W^T [+ bias] [+ residual] for few rows of x, up to kBatch in one pass over the weights; activations
// in f32. A simdgroup computes kVecRows outputs; its lanes walk along k, eight weights at a time. Grid: (n /
// 16, rows / kBatch).
#pragma once

#include "kernels/gpu/linear.h"

enum { kVecRows = 4, kVecSimdgroups = 4 };

template <class Format>
FN void load_x8(const DEVICE f32* x, u32 k, u32 end, THREAD f32* out) {
  if (Format::kTail) {
    UNROLL for (u32 i = 0; i < 8; ++i) out[i] = k + i < end ? x[k + i] : 0.f;
  } else {
    const f32x4 lo = ld_f32x4(x + k), hi = ld_f32x4(x + k + 4);
    out[0] = lo.x, out[1] = lo.y, out[2] = lo.z, out[3] = lo.w;
    out[4] = hi.x, out[5] = hi.y, out[6] = hi.z, out[7] = hi.w;
  }
}

template <class Format, u32 kBatch>
FN void linear_vec(const CONSTANT LinearParams& p, const THREAD LinearIo& io, const DEVICE f32* x,
                   const THREAD Place& at) {
  const u32 n0 = (at.x * kVecSimdgroups + at.sg) * kVecRows, m0 = at.y * kBatch;
  if (n0 >= p.n || m0 >= io.rows) return;
  f32 acc[kVecRows][kBatch];
  UNROLL for (u32 r = 0; r < kVecRows; ++r) UNROLL for (u32 m = 0; m < kBatch; ++m) acc[r][m] = 0.f;
  for (u32 k = at.lane * 8; k < p.k; k += 32 * 8) {
    f32 w[kVecRows][8];
    UNROLL for (u32 r = 0; r < kVecRows; ++r) {
      const u32 row = n0 + r < p.n ? n0 + r : p.n - 1;  // past the end: a valid row, whose sum nobody stores
      Format::load8(io.weight + (u64)row * p.row_bytes, k, p.k, w[r]);
    }
    UNROLL for (u32 m = 0; m < kBatch; ++m) {
      f32 v[8];
      load_x8<Format>(x + (u64)x_row(io, m0 + m < io.rows ? m0 + m : m0) * p.k, k, p.k, v);
      UNROLL for (u32 r = 0; r < kVecRows; ++r) UNROLL for (u32 i = 0; i < 8; ++i) acc[r][m] =
          g_fma(w[r][i], v[i], acc[r][m]);
    }
  }
  UNROLL for (u32 r = 0; r < kVecRows; ++r) UNROLL for (u32 m = 0; m < kBatch; ++m) {
    const f32 sum = simd_sum(acc[r][m]);
    if (at.lane == 0 && n0 + r < p.n && m0 + m < io.rows) finish(p, io, m0 + m, n0 + r, sum);
  }
}

#define LINEAR_VEC(NAME, FORMAT, BATCH)                                                                      \
  KERNEL(128)                                                                                                \
  NAME(PARAMS(LinearParams, p), IN(1, StepCounts, step), IN(2, f32, x), IN(3, u8, weight), IN(4, f32, bias), \
       IN(5, f32, residual), OUT(6, f32, y) GRID) {                                                          \
    GRID_BEGIN                                                                                               \
    const Place at = PLACE;                                                                                  \
    const LinearIo io = {weight, bias, residual, y, row_count(step, p.rows), false, 0};                      \
    linear_vec<FORMAT, BATCH>(p, io, x, at);                                                                 \
  }
