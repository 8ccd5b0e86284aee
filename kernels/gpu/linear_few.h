// Products of few rows of x with up to three matrices that read it (FewParams), for decoding at the speed of
// the memory: each weight is read once for up to kBatch rows. A threadgroup computes 32 outputs of a matrix,
// its simdgroups kRows each; the lanes walk along k, kDepth units of each row on their way. The first are
// under way before the dispatches before this one have ended. Grid: (tiles of 32 of all matrices, with `glu`
// of one; rows / kBatch).
#pragma once

#include "kernels/gpu/f32_dot.h"
#include "kernels/gpu/int8_dot.h"

struct FewIo {
  const DEVICE u8* x;  // rows that Leaf reads
  const DEVICE u8* weight[3];
  const DEVICE f32* bias[3];
  const DEVICE f32* residual;
  const DEVICE f32* gamma;
  DEVICE f32* y[3];
  DEVICE u8* bytes;
  u32 rows;  // of x and y
};

// One of three, without an array in memory.
template <class Pointer>
FN Pointer pick(const THREAD Pointer* of, u32 i) {
  return i == 0 ? of[0] : i == 1 ? of[1] : of[2];
}

// What the lane's unit of kRows rows adds to its sums for kBatch rows of x.
template <class Leaf, u32 kBatch, u32 kRows>
FN void add_unit(const CONSTANT FewParams& p, const THREAD FewIo& io, u32 m0, u32 step, u32 lane,
                 const THREAD typename Leaf::Words* w, THREAD f32* acc) {
  UNROLL for (u32 m = 0; m < kBatch; ++m) {
    typename Leaf::X x;
    Leaf::load_x(io.x + (u64)(m0 + m < io.rows ? m0 + m : m0) * Leaf::x_row_bytes(p.k), p.k, step, lane, x);
    UNROLL for (u32 r = 0; r < kRows; ++r) acc[r * kBatch + m] += Leaf::dot(w[r], x, lane);
  }
}

// This simdgroup's outputs, from output n0 of a matrix on, for the rows of x from m0 on.
template <class Leaf, u32 kBatch, u32 kRows, u32 kDepth>
FN void few_sums(const CONSTANT FewParams& p, const THREAD FewIo& io, const DEVICE u8* weight, u32 n, u32 n0,
                 u32 m0, u32 lane, THREAD f32* acc) {
  const u32 units = p.k / Leaf::kUnit, unit = lane < units ? lane : units - 1;
  const u32 stride = 32 / Leaf::kUnits * Leaf::kBlockBytes;
  typename Leaf::Words w[kDepth][kRows];
  const DEVICE u8* at[kRows];
  UNROLL for (u32 r = 0; r < kRows; ++r) {
    // Past the end: a valid row, whose sum nobody stores.
    const DEVICE u8* row = weight + (u64)(n0 + r < n ? n0 + r : n - 1) * p.row_bytes;
    at[r] = row + unit / Leaf::kUnits * Leaf::kBlockBytes;
    UNROLL for (u32 m = 0; m < kBatch; ++m) acc[r * kBatch + m] = 0.f;
    UNROLL for (u32 d = 0; d < kDepth; ++d) if (d == 0 || d * 32 + lane < units)
        Leaf::load(at[r] + d * stride, lane, w[d][r]);
  }
  wait_previous();
  for (u32 step = 0;; step += kDepth) UNROLL for (u32 d = 0; d < kDepth; ++d) {
      const u32 ahead = (step + d + kDepth) * 32 + lane;  // the unit that is loaded while one is multiplied
      if (ahead - kDepth * 32 >= units) return;
      add_unit<Leaf, kBatch, kRows>(p, io, m0, step + d, lane, w[d], acc);
      if (ahead < units)
        UNROLL for (u32 r = 0; r < kRows; ++r)
            Leaf::load(at[r] + (u64)(step + d + kDepth) * stride, lane, w[d][r]);
    }
}

// Stores 32 outputs of a row, a lane one, from their sums.
FN void finish_few(const CONSTANT FewParams& p, const THREAD FewIo& io, u32 part, u32 row, u32 column,
                   f32 scale, const TGMEM f32* sums, const TGMEM f32* ups, u32 lane) {
  const u32 n = p.n[part];
  const bool inside = column < n;
  const u64 to = (u64)row * n + column;
  f32 v = 0.f;
  if (inside) {
    v = sums[lane] * scale;
    if (p.has_bias >> part & 1u) v += pick(io.bias, part)[column];
    if (p.glu) {
      f32 up = ups[lane] * scale;
      if (p.has_bias >> 1 & 1u) up += io.bias[1][column];
      v = activate(p.activation, v) * up;
    }
    if (p.has_residual && part == 0) v += io.residual[to];
    pick(io.y, part)[to] = v;
  }
  if (!p.bytes) return;
  const f32 scaled = inside && p.has_gamma ? v * io.gamma[column] : v;
  store_int8(io.bytes + (u64)row * int8_row_bytes(n), n, column, scaled, v * v, lane);
}

// `sums`: 2 x kBatch x 32.
template <class Leaf, u32 kBatch, u32 kRows, u32 kDepth>
FN void linear_few(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD Place& at,
                   TGMEM f32* sums) {
  u32 tile = at.x, part = 0;
  if (!p.glu)
    for (; part < 2 && tile >= ceil_div(p.n[part], kFewOutputs); ++part)
      tile -= ceil_div(p.n[part], kFewOutputs);
  const u32 m0 = at.y * kBatch, first = tile * kFewOutputs;
  if (m0 >= io.rows) {
    wait_previous();
    return;
  }
  for (u32 pass = 0; pass < (p.glu ? 2u : 1u); ++pass) {
    f32 acc[kRows * kBatch];
    const u32 which = p.glu ? pass : part;
    few_sums<Leaf, kBatch, kRows, kDepth>(p, io, pick(io.weight, which), p.n[which], first + at.sg * kRows,
                                          m0, at.lane, acc);
    UNROLL for (u32 r = 0; r < kRows; ++r) UNROLL for (u32 m = 0; m < kBatch; ++m) {
      const f32 sum = simd_sum(acc[r * kBatch + m]);
      if (at.lane == 0) sums[(pass * kBatch + m) * kFewOutputs + at.sg * kRows + r] = sum;
    }
  }
  const u32 m = at.sg, row = m0 + m;  // this simdgroup's row from here on
  const bool busy = m < kBatch && row < io.rows;
  f32 scale = 1.f;
  if (busy && p.norm) scale = Leaf::norm(io.x + (u64)row * Leaf::x_row_bytes(p.k), p.k, p.eps, at.lane);
  tg_barrier();
  if (busy)
    finish_few(p, io, part, row, first + at.lane, scale, sums + m * kFewOutputs,
               sums + (kBatch + m) * kFewOutputs, at.lane);
}

// THREADS is 1024 / ROWS, at least 32 BATCH. Kernels of one row want 1,024 threads on a core, for loads on
// their way, where the registers suffice (Leaf::kLight).
#define LINEAR_FEW(NAME, LEAF, BATCH, ROWS, DEPTH, THREADS)                                                 \
  KERNEL_RESIDENT(THREADS, LEAF::kLight&& BATCH == 1 ? 1024 / THREADS : 1)                                  \
  NAME(PARAMS(FewParams, p), IN(1, StepCounts, step), IN(2, u8, x), IN(3, u8, w0), IN(4, u8, w1),           \
       IN(5, u8, w2), IN(6, f32, b0), IN(7, f32, b1), IN(8, f32, b2), IN(9, f32, residual),                 \
       IN(10, f32, gamma), OUT(11, f32, y0), OUT(12, f32, y1), OUT(13, f32, y2), OUT(14, u8, bytes) GRID) { \
    GRID_BEGIN_EARLY                                                                                        \
    TGARRAY(f32, sums, 2 * 32 * BATCH);                                                                     \
    launch_next();                                                                                          \
    const Place at = PLACE;                                                                                 \
    const FewIo io = {x,     {w0, w1, w2}, {b0, b1, b2}, residual,                                          \
                      gamma, {y0, y1, y2}, bytes,        row_count(step, p.rows)};                          \
    linear_few<LEAF, BATCH, ROWS, DEPTH>(p, io, at, sums);                                                  \
  }
