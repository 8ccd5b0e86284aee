// The words of lane_rows.h in CUDA C++: eight neighbours of a lane are what it holds of two operands of
// mma.m16n8k16, if columns 2 c, 2 c + 1, 2 c + 8 and 2 c + 9 of these are taken for the lane's next four.
#pragma once

#include "kernels/gpu/prelude/prelude.h"

FN void mma_rows_a(MmaA (&a)[2], const u32* near, const u32* far) {
  UNROLL for (u32 j = 0; j < 2; ++j) {
    a[j].r[0] = near[2 * j], a[j].r[2] = near[2 * j + 1];
    a[j].r[1] = far[2 * j], a[j].r[3] = far[2 * j + 1];
  }
}
FN void mma_rows_b(MmaB (&b)[2], const u32* near, const u32* far) {
  UNROLL for (u32 j = 0; j < 2; ++j) UNROLL for (u32 i = 0; i < 2; ++i) {
    b[j].r[0][i] = near[2 * j + i];
    b[j].r[1][i] = far[2 * j + i];
  }
}

FN void f16_affine(u32 bytes, u32 s, u32 m, u32* out) {
  UNROLL for (u32 i = 0; i < 2; ++i) {
    u32 v = __byte_perm(bytes, 0x64646464u, i ? 0x4342 : 0x4140);  // 0x6400: 1024 as f16
    asm("sub.f16x2 %0, %0, %1;" : "+r"(v) : "r"(0x64006400u));
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(out[i]) : "r"(v), "r"(s), "r"(m ^ 0x80008000u));
  }
}
FN u32 f16_scaled(u32 integers, u32 factors) {
  u32 v = integers | 0x64006400u;
  asm("sub.f16x2 %0, %0, %1;" : "+r"(v) : "r"(0x64006400u));
  asm("mul.f16x2 %0, %0, %1;" : "+r"(v) : "r"(factors));
  return v;
}
