// What a GPU does at most: a kernel that only reads, and one that only multiplies. A store that depends on
// the result keeps both from being left out.
#pragma once

#include "kernels/gpu/common.h"

// Sixteen bytes a thread, eight times at once: rounds x groups x 512 x 16 bytes. Grid: (groups).
KERNEL(512)
read_peak(PARAMS(ReadPeakParams, p), IN(1, u8, x), OUT(2, u32, y) GRID) {
  GRID_BEGIN
  const u64 first = ((u64)gk_tgid.x * 512 + gk_tid) * 16, step = (u64)p.groups * 512 * 16;
  u32 sum = 0;
  for (u32 i = 0; i < p.rounds; i += 8) {
    u32 w[8][4];
    UNROLL for (u32 j = 0; j < 8; ++j) ld_weight_u32x4(x + first + (i + j) * step, w[j]);
    UNROLL for (u32 j = 0; j < 8; ++j) sum += w[j][0] + w[j][1] + w[j][2] + w[j][3];
  }
  if (sum == p.expected) y[0] = sum;
}

enum { kPeakA = 2, kPeakB = 4, kPeakSide = 16 };

// rounds x kPeakA x kPeakB products of 16 x 16 x 16 in each of eight simdgroups, of tiles whose elements
// differ: equal ones would cost less power. Grid: any.
KERNEL(256)
product_peak(PARAMS(ProductPeakParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f16, tile, kPeakB * kPeakSide * kPeakSide);
  for (u32 i = gk_tid; i < kPeakB * kPeakSide * kPeakSide; i += 256)
    tile[i] = to_f16((f32)(i * 37 % 15) / 64.f);
  tg_barrier();
  MmaA a[kPeakA];
  MmaB b[kPeakB];
  MmaC c[kPeakA][kPeakB];
  UNROLL for (u32 i = 0; i < kPeakA; ++i)
      mma_load_a(a[i], tile + i * kPeakSide * kPeakSide, kPeakSide, gk_lane);
  UNROLL for (u32 j = 0; j < kPeakB; ++j)
      mma_load_bt(b[j], tile + j * kPeakSide * kPeakSide, kPeakSide, gk_lane);
  UNROLL for (u32 i = 0; i < kPeakA; ++i) UNROLL for (u32 j = 0; j < kPeakB; ++j) mma_zero(c[i][j]);
  for (u32 round = 0; round < p.rounds; ++round)
    UNROLL for (u32 i = 0; i < kPeakA; ++i) UNROLL for (u32 j = 0; j < kPeakB; ++j) mma(c[i][j], a[i], b[j]);
  f32 sum = 0.f;
  UNROLL for (u32 i = 0; i < kPeakA; ++i) UNROLL for (u32 j = 0; j < kPeakB; ++j)
      UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) sum += mma_get(c[i][j], e);
  sum = simd_sum(sum);
  if (sum == p.expected) y[0] = sum;
}
