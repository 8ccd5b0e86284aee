// What the matrix unit of compute capability 9.0 does at most: a kernel that multiplies what lies in
// threadgroup memory, and nothing else, by the words of linear_wgmma.h.
#pragma once

#include "kernels/gpu/prelude/wgmma.h"
#include "kernels/gpu/swizzled_tiles.h"

#ifdef GK_WGMMA

// rounds products of 128 x 256 x 64 in each threadgroup, half of the rows by four simdgroups. Elements
// differ: equal ones would cost less power. A store that depends on the result keeps it from being left out.
// Grid: any.
KERNEL_RESIDENT(256, 1)
wgmma_peak(PARAMS(ProductPeakParams, p), OUT(1, f32, y) GRID) {
  GRID_BEGIN
  TGLARGE(u8, tiles);  // of x, and two of W below each other
  for (u32 i = gk_tid; i < 3 * kSwizzledRows * kSwizzledColumns; i += 256) {
    const u32 row = i / kSwizzledColumns, k = i % kSwizzledColumns;
    TGMEM f16* at = (TGMEM f16*)(tiles + swizzled_unit(row, k, 1) * 16);
    at[k % 8] = to_f16((f32)(i * 37 % 7) / 64.f);
  }
  phases_ready();
  tg_barrier();
  const TGMEM u8* a = tiles + gk_sg / 4 * (kSwizzledBytes / 2);
  const TGMEM u8* b = tiles + kSwizzledBytes;
  WgSums<256> c;
  wg_zero(c);
  for (u32 round = 0; round < p.rounds; ++round) {
    wg_start();
    UNROLL for (u32 i = 0; i < kSwizzledColumns / 16; ++i) wg_mma(c, a + i * 32, b + i * 32);
    wg_commit();
    wg_wait<1>();
  }
  wg_wait<0>();
  f32 sum = 0.f;
  UNROLL for (u32 e = 0; e < 128; ++e) sum += wg_get(c, e);
  sum = simd_sum(sum);
  if (sum == p.expected) y[0] = sum;
}

#endif
