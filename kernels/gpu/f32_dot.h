// Dot products of a row of dense weights with a row of f32, eight values a unit, with the same interface as
// Int8Leaf (int8_dot.h). Rows are whole units.
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/weight_source.h"
#include "kernels/gpu/weights.h"

struct UnitF32 {
  enum { kUnit = 8, kUnits = 1 };
  struct X {
    f32 v[8];
  };
  static FN u32 x_row_bytes(u32 k) { return k * 4; }
  static FN void load_x(const THREAD RowOfX& row, u32 step, u32 lane, THREAD X& x) {
    const u32 i = (step * 32 + lane) * 8;
    const DEVICE f32* from = (const DEVICE f32*)row.at + i;
    const f32x4 lo = ld_f32x4(from), hi = ld_f32x4(from + 4);
    x.v[0] = lo.x, x.v[1] = lo.y, x.v[2] = lo.z, x.v[3] = lo.w;
    x.v[4] = hi.x, x.v[5] = hi.y, x.v[6] = hi.z, x.v[7] = hi.w;
    // The norm's weight lies in the file at any multiple of four bytes.
    if (row.weighted) UNROLL for (u32 j = 0; j < 8; ++j) x.v[j] *= row.gamma[i + j];
  }
  static FN f32 norm(const THREAD RowOfX& row, f32 eps, u32 lane) {
    f32 squares = 0.f;
    for (u32 i = lane * 4; i < row.k; i += 128) {
      const f32x4 v = ld_f32x4((const DEVICE f32*)row.at + i);
      squares = g_fma(v.x, v.x, squares), squares = g_fma(v.y, v.y, squares);
      squares = g_fma(v.z, v.z, squares), squares = g_fma(v.w, v.w, squares);
    }
    return g_rsqrt(simd_sum(squares) / (f32)row.k + eps);
  }
};

// Two bytes a value.
struct UnitHalves : UnitF32 {
  enum { kBlockBytes = 16 };
  struct Words {
    u32 w[4];
  };
  template <class From>
  static FN void load(typename From::At unit, u32, THREAD Words& w) {
    From::load_u32x4(unit, w.w);
  }
};

template <class Block>
struct F32Leaf;

template <>
struct F32Leaf<medlar::formats::BlockF16> : UnitHalves {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    f32 sum = 0.f;
    UNROLL for (u32 i = 0; i < 4; ++i) {
      sum = g_fma(f16_bits_to_f32((u16)(w.w[i] & 0xFFFFu)), x.v[i * 2], sum);
      sum = g_fma(f16_bits_to_f32((u16)(w.w[i] >> 16)), x.v[i * 2 + 1], sum);
    }
    return sum;
  }
};

template <>
struct F32Leaf<medlar::formats::BlockBf16> : UnitHalves {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    f32 sum = 0.f;
    UNROLL for (u32 i = 0; i < 4; ++i) {
      sum = g_fma(bits_f32(w.w[i] << 16), x.v[i * 2], sum);
      sum = g_fma(bits_f32(w.w[i] & 0xFFFF0000u), x.v[i * 2 + 1], sum);
    }
    return sum;
  }
};

template <>
struct F32Leaf<medlar::formats::BlockF32> : UnitF32 {
  enum { kBlockBytes = 32 };
  struct Words {
    u32 w[8];
  };
  template <class From>
  static FN void load(typename From::At unit, u32, THREAD Words& w) {
    From::load_u32x4(unit, w.w);
    From::load_u32x4(unit + 16, w.w + 4);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    f32 sum = 0.f;
    UNROLL for (u32 i = 0; i < 8; ++i) sum = g_fma(bits_f32(w.w[i]), x.v[i], sum);
    return sum;
  }
};
