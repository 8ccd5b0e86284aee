// What the products of few rows share (linear_one.h, linear_few.h): their buffers, and what becomes of a sum.
#pragma once

#include "kernels/gpu/int8_rows.h"
#include "kernels/gpu/weight_source.h"

struct FewIo {
  const DEVICE u8* x;  // rows that Leaf reads
  const DEVICE u8* weight[3];
  const DEVICE f32* bias[3];
  const DEVICE f32* residual;
  const DEVICE f32* gamma;
  const DEVICE f32* x_gamma;
  DEVICE f32* y[3];
  DEVICE u8* bytes;
  u32 rows;  // of x and y
};

#define FEW_ARGUMENTS                                                                                       \
  PARAMS(FewParams, p), IN(1, StepCounts, step), IN(2, u8, x), IN(3, u8, w0), IN(4, u8, w1), IN(5, u8, w2), \
      IN(6, f32, b0), IN(7, f32, b1), IN(8, f32, b2), IN(9, f32, residual), IN(10, f32, gamma),             \
      IN(11, f32, x_gamma), OUT(12, f32, y0), OUT(13, f32, y1), OUT(14, f32, y2), OUT(15, u8, bytes)
#define FEW_IO \
  {x, {w0, w1, w2}, {b0, b1, b2}, residual, gamma, x_gamma, {y0, y1, y2}, bytes, row_count(step, p.rows)}

// Row m of x, times the norm's weight where a norm is still to be made of it.
FN RowOfX row_of_x(const CONSTANT FewParams& p, const THREAD FewIo& io, u32 m, u32 row_bytes) {
  const RowOfX row = {io.x + (u64)m * row_bytes, io.x_gamma, p.k, p.norm != 0};
  return row;
}

// One of three, without an array in memory.
template <class Pointer>
FN Pointer pick(const THREAD Pointer* of, u32 i) {
  return i == 0 ? of[0] : i == 1 ? of[1] : of[2];
}

FN u32 extent(const CONSTANT FewParams& p, u32 part) {
  return part == 0 ? p.n[0] : part == 1 ? p.n[1] : p.n[2];
}

// An output of a matrix, or a place where there is none.
struct FewOutput {
  u32 part, row, column;
  bool inside;
};

// What an output's sum meets.
struct FewOperands {
  f32 bias, up_bias, residual, gamma;
};

FN FewOperands load_operands(const CONSTANT FewParams& p, const THREAD FewIo& io,
                             const THREAD FewOutput& at) {
  FewOperands o = {0.f, 0.f, 0.f, 1.f};
  if (!at.inside) return o;
  if (p.has_bias >> at.part & 1u) o.bias = pick(io.bias, at.part)[at.column];
  if (p.glu && (p.has_bias >> 1 & 1u)) o.up_bias = io.bias[1][at.column];
  if (p.has_residual && at.part == 0) o.residual = io.residual[(u64)at.row * p.n[0] + at.column];
  if (p.bytes && p.has_gamma) o.gamma = io.gamma[at.column];
  return o;
}

// Stores 32 neighbouring outputs, a lane one, from their sums; `up`: where there is a gate.
FN void finish_few(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD FewOutput& at,
                   const THREAD FewOperands& o, f32 sum, f32 up, f32 scale, u32 lane) {
  const u32 n = extent(p, at.part);
  f32 v = sum * scale + o.bias;
  if (p.glu) v = gated(p.activation, v, up * scale + o.up_bias);
  v = at.inside ? v + o.residual : 0.f;
  if (at.inside) pick(io.y, at.part)[(u64)at.row * n + at.column] = v;
  if (p.bytes) store_int8(io.bytes + (u64)at.row * int8_row_bytes(n), n, at.column, v * o.gamma, v * v, lane);
}
