// Small dense products of f32 matrices in cache: C (+)= A B, by register tiles of kTileRows x kTileVectors.
// Rows of B are readable to a whole number of vectors.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

struct Matrix {
  float* data;
  int64_t stride;  // floats from row to row
};

struct MatmulShape {
  int64_t rows, columns, depth;
  bool accumulate;
};

// kRows rows of C, kVectors vectors wide, each with the lanes that `lanes` tells.
template <int kRows, int kVectors, class Lanes>
MEDLAR_INLINE void multiply_tile(const float* a, int64_t a_stride, Matrix b, Matrix c,
                                 const MatmulShape& shape, Lanes lanes) {
  F sums[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = shape.accumulate ? load(c.data + r * c.stride + v * kLanes, lanes) : splat(0.0f);
    }
  }
  for (int64_t k = 0; k < shape.depth; ++k) {
    F row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = load(b.data + k * b.stride + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const F x = splat(a[r * a_stride + k]);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(x, row[v], sums[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) store(c.data + r * c.stride + v * kLanes, sums[r][v], lanes);
  }
}

// Rows of A and C by kRows, then what is left in one tile.
template <int kRows, int kVectors, class Lanes>
MEDLAR_INLINE void multiply_columns(const float* a, int64_t a_stride, Matrix b, Matrix c,
                                    const MatmulShape& shape, Lanes lanes) {
  int64_t r = 0;
  for (; r + kRows <= shape.rows; r += kRows) {
    multiply_tile<kRows, kVectors>(a + r * a_stride, a_stride, b, {c.data + r * c.stride, c.stride}, shape,
                                   lanes);
  }
  if constexpr (kRows > 1) {
    if (r == shape.rows) return;
    MatmulShape left = shape;
    left.rows -= r;
    multiply_columns<kRows - 1, kVectors>(a + r * a_stride, a_stride, b, {c.data + r * c.stride, c.stride},
                                          left, lanes);
  }
}

// A: rows x depth; B: depth x columns; C: rows x columns.
inline void multiply(const float* a, int64_t a_stride, Matrix b, Matrix c, const MatmulShape& shape) {
  constexpr int kWide = kTileVectors * kLanes;
  int64_t j = 0;
  for (; j + kWide <= shape.columns; j += kWide) {
    multiply_columns<kTileRows, kTileVectors>(a, a_stride, {b.data + j, b.stride}, {c.data + j, c.stride},
                                              shape, Full{});
  }
  each({j, shape.columns}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
    multiply_columns<kTileRows, 1>(a, a_stride, {b.data + i, b.stride}, {c.data + i, c.stride}, shape, lanes);
  });
}

}  // namespace medlar::kernels::MEDLAR_ISA
