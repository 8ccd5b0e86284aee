// Rows of activations as signed bytes for products with integer dot products: each 32 values have a scale. A
// row is one piece of memory: `stride` codes, then for each 32 of them two f32, the scale and the scale times
// the sum of the codes, then for each 32 an f32, the sum of squares that an RMS norm needs. Codes lie so that
// lanes which take 64 neighbouring values each load 16 bytes side by side.
#pragma once

#include "kernels/gpu/common.h"

enum { kInt8Group = 32 };

FN u32 int8_stride(u32 k) { return ceil_div(k, kInt8Chunk) * kInt8Chunk; }
FN u32 int8_row_bytes(u32 k) { return int8_stride(k) / 8 * 11; }

// Where the 16 codes from value 16 * piece on are: in a chunk of 2048 first the first sixteen of each 64,
// then the second, ...
FN u32 int8_piece(u32 piece) { return piece / 128 * kInt8Chunk + piece % 4 * 512 + piece % 128 / 4 * 16; }

FN const DEVICE f32* int8_factors(const DEVICE u8* row, u32 k) {
  return (const DEVICE f32*)(row + int8_stride(k));
}
FN const DEVICE f32* int8_squares(const DEVICE u8* row, u32 k) {
  return int8_factors(row, k) + int8_stride(k) / kInt8Group * 2;
}

// The integer nearest to v, which is within -127..127; 0 for NaN.
FN i32 nearest_code(f32 v) { return v > 0.f ? (i32)(v + 0.5f) : v < 0.f ? -(i32)(0.5f - v) : 0; }

// Stores a group: each lane one of 32 neighbouring values, number `i` of the row. `square` is what it adds to
// the norm's sum. A value that is not finite makes the group's scale NaN.
FN void store_int8(DEVICE u8* row, u32 k, u32 i, f32 v, f32 square, u32 lane) {
  const f32 top = simd_max(g_abs(v)), to_code = top > 0.f ? 127.f / top : 0.f;
  const i32 code = nearest_code(v * to_code);
  const f32 sum = simd_sum((f32)code + (v - v)), squares = simd_sum(square);
  row[int8_piece(i / 16) + i % 16] = (u8)code;
  if (lane != 0) return;
  const f32 scale = top / 127.f + 0.f * sum;
  DEVICE f32* factors = (DEVICE f32*)(row + int8_stride(k));
  factors[i / kInt8Group * 2] = scale;
  factors[i / kInt8Group * 2 + 1] = scale * sum;
  factors[int8_stride(k) / kInt8Group * 2 + i / kInt8Group] = squares;
}

// 1 / sqrt(mean(x^2) + eps) of a row that was stored with its squares.
FN f32 int8_norm(const DEVICE u8* row, u32 k, f32 eps, u32 lane) {
  const DEVICE f32* squares = int8_squares(row, k);
  f32 sum = 0.f;
  for (u32 i = lane; i < k / kInt8Group; i += 32) sum += squares[i];
  return g_rsqrt(simd_sum(sum) / (f32)k + eps);
}
