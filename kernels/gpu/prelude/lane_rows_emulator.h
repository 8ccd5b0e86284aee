// The words of lane_rows.h in C++, over the emulator.
#pragma once

#include "kernels/gpu/prelude/prelude.h"

FN void mma_rows_a(THREAD MmaA (&a)[2], const THREAD u32* near, const THREAD u32* far, GK_LINE) {
  medlar::emulator::exchange_rows(line, {near, far, false}, a[0].v, a[1].v);
}
FN void mma_rows_b(THREAD MmaB (&b)[2], const THREAD u32* near, const THREAD u32* far, GK_LINE) {
  medlar::emulator::exchange_rows(line, {near, far, true}, b[0].v, b[1].v);
}

FN f32 half_of(u32 word, u32 i) { return f16_bits_to_f32((u16)(word >> 16 * i)); }
FN void f16_affine(u32 bytes, u32 s, u32 m, THREAD u32* out) {
  for (u32 i = 0; i < 2; ++i)
    out[i] = f16_pair((f32)(bytes >> 16 * i & 255u) * half_of(s, 0) - half_of(m, 0),
                      (f32)(bytes >> (16 * i + 8) & 255u) * half_of(s, 1) - half_of(m, 1));
}
FN u32 f16_scaled(u32 integers, u32 factors) {
  return f16_pair((f32)(integers & 0xFFFFu) * half_of(factors, 0),
                  (f32)(integers >> 16) * half_of(factors, 1));
}
