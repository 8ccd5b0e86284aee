// Products of few rows of x with up to three matrices that read it (FewParams), for decoding at the speed of
// the memory: each weight is read once for up to kFewBatch rows. A threadgroup computes 32 outputs of a
// matrix, its simdgroups kRows each; the lanes walk along k, kDepth units of each row on their way. The first
// are under way before the dispatches before this one have ended. Grid: (tiles of 32 of all matrices, with
// `glu` of one; rows / kFewBatch).
#pragma once

#include "kernels/gpu/few.h"
#include "kernels/gpu/int8_dot.h"

// What the lane's unit of kRows rows adds to its sums for kFewBatch rows of x.
template <class Leaf, u32 kRows>
FN void add_unit(const CONSTANT FewParams& p, const THREAD FewIo& io, u32 m0, u32 step, u32 lane,
                 const THREAD typename Leaf::Words* w, THREAD f32* acc) {
  UNROLL for (u32 m = 0; m < kFewBatch; ++m) {
    typename Leaf::X x;
    const RowOfX row = row_of_x(p, io, m0 + m < io.rows ? m0 + m : m0, Leaf::x_row_bytes(p.k));
    Leaf::load_x(row, step, lane, x);
    UNROLL for (u32 r = 0; r < kRows; ++r) acc[r * kFewBatch + m] += Leaf::dot(w[r], x, lane);
  }
}

// This simdgroup's outputs, from output n0 of a matrix on, for the rows of x from m0 on.
template <class Leaf, u32 kRows, u32 kDepth>
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
    UNROLL for (u32 m = 0; m < kFewBatch; ++m) acc[r * kFewBatch + m] = 0.f;
    UNROLL for (u32 d = 0; d < kDepth; ++d) if (d == 0 || d * 32 + lane < units)
        Leaf::template load<DeviceWeights>(at[r] + d * stride, lane, w[d][r]);
  }
  wait_previous();
  for (u32 step = 0;; step += kDepth) UNROLL for (u32 d = 0; d < kDepth; ++d) {
      const u32 ahead = (step + d + kDepth) * 32 + lane;  // the unit that is loaded while one is multiplied
      if (ahead - kDepth * 32 >= units) return;
      add_unit<Leaf, kRows>(p, io, m0, step + d, lane, w[d], acc);
      if (ahead < units)
        UNROLL for (u32 r = 0; r < kRows; ++r)
            Leaf::template load<DeviceWeights>(at[r] + (u64)(step + d + kDepth) * stride, lane, w[d][r]);
    }
}

// `sums`: 2 x kFewBatch x 32.
template <class Leaf, u32 kRows, u32 kDepth>
FN void linear_few(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD Place& at,
                   TGMEM f32* sums) {
  u32 tile = at.x, part = 0;
  if (!p.glu)
    for (; part < 2 && tile >= ceil_div(p.n[part], kFewOutputs); ++part)
      tile -= ceil_div(p.n[part], kFewOutputs);
  const u32 m0 = at.y * kFewBatch, first = tile * kFewOutputs;
  if (m0 >= io.rows) {
    wait_previous();
    return;
  }
  for (u32 pass = 0; pass < (p.glu ? 2u : 1u); ++pass) {
    f32 acc[kRows * kFewBatch];
    const u32 which = p.glu ? pass : part;
    few_sums<Leaf, kRows, kDepth>(p, io, pick(io.weight, which), p.n[which], first + at.sg * kRows, m0,
                                  at.lane, acc);
    UNROLL for (u32 r = 0; r < kRows; ++r) UNROLL for (u32 m = 0; m < kFewBatch; ++m) {
      const f32 sum = simd_sum(acc[r * kFewBatch + m]);
      if (at.lane == 0) sums[(pass * kFewBatch + m) * kFewOutputs + at.sg * kRows + r] = sum;
    }
  }
  const u32 m = at.sg, row = m0 + m;  // this simdgroup's row from here on
  const bool busy = m < kFewBatch && row < io.rows;
  f32 scale = 1.f;
  const RowOfX read = row_of_x(p, io, busy ? row : 0u, Leaf::x_row_bytes(p.k));
  if (busy && p.norm) scale = Leaf::norm(read, p.eps, at.lane);
  tg_barrier();
  if (!busy) return;
  const u32 column = first + at.lane;
  const FewOutput to = {part, row, column, column < p.n[part]};
  const FewOperands operands = load_operands(p, io, to);
  finish_few(p, io, to, operands, sums[m * kFewOutputs + at.lane],
             sums[(kFewBatch + m) * kFewOutputs + at.lane], scale, at.lane);
}

// THREADS is 1024 / ROWS, at least 32 kFewBatch.
#define LINEAR_FEW(NAME, LEAF, ROWS, DEPTH, THREADS) \
  KERNEL(THREADS) NAME(FEW_ARGUMENTS GRID) {         \
    GRID_BEGIN_EARLY                                 \
    TGARRAY(f32, sums, 2 * 32 * kFewBatch);          \
    launch_next();                                   \
    const Place at = PLACE;                          \
    const FewIo io = FEW_IO;                         \
    linear_few<LEAF, ROWS, DEPTH>(p, io, at, sums);  \
  }
