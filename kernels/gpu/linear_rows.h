// y = x W^T [+ bias] [+ residual] for up to 64 rows of x, in registers: weights are unpacked once for all
// rows, by the lanes of which the matrix unit takes them, and x comes from prepare through the first cache as
// lanes load it (lane_unit). Nothing passes through threadgroup memory before the end. A simdgroup multiplies
// 16 outputs by all rows; four of them have the outputs of a threadgroup, and two such fours take turns along
// the columns. What a simdgroup multiplies next is on its way to registers meanwhile; the first weights are
// before the dispatches before this one have ended.
//
// Where there are too few tiles for the device, the columns are divided into parts, whose sums linear_sum
// adds up. Grid: (n / 64, 1, parts).
#pragma once

#include "kernels/gpu/lane_words.h"
#include "kernels/gpu/linear.h"

#ifdef GK_LANE_ROWS

enum { kRowsAcross = 4, kRowsAlong = 2 };

// The lane's part of 32 columns of kRows rows of x.
template <u32 kRows>
struct LaneX {
  u32 words[kRows / 8][4];
};
template <u32 kRows>
FN void load_lane_x(const DEVICE u8* x, u32 k, u32 end, u32 lane, THREAD LaneX<kRows>& to) {
  const DEVICE u8* from = x + lane_unit(k < end ? k : 0u, 0, kRows / 8, lane) * 16;
  UNROLL for (u32 i = 0; i < kRows / 8; ++i) ld_u32x4(from + i * 512, to.words[i]);
}

// Adds the products of 32 columns.
template <class Leaf, u32 kRows>
FN void multiply_rows(const THREAD typename Leaf::Words* w, const THREAD LaneX<kRows>& x, u32 step, u32 lane,
                      THREAD MmaC (&sums)[kRows / 16]) {
  u32 near[4], far[4];
  Leaf::unpack(w[0], step, lane % 4, near);
  Leaf::unpack(w[1], step, lane % 4, far);
  MmaA a[2];
  MmaB b[2];
  mma_rows_a(a, near, far);
  UNROLL for (u32 t = 0; t < kRows / 16; ++t) {
    mma_rows_b(b, x.words[t * 2], x.words[t * 2 + 1]);
    UNROLL for (u32 j = 0; j < 2; ++j) mma(sums[t], a[j], b[j]);
  }
}

// The sums of every second kColumns of the columns [begin, end), for the rows of weights n0 to n0 + 15;
// behind the last row it again, so that no branch stands between loads.
template <class Leaf, u32 kRows>
FN void rows_sums(const CONSTANT LinearParams& p, const DEVICE u8* weight, const DEVICE u8* x, u32 n0,
                  u32 begin, u32 end, u32 lane, THREAD MmaC (&sums)[kRows / 16]) {
  UNROLL for (u32 t = 0; t < kRows / 16; ++t) mma_zero(sums[t]);
  const u32 columns = Leaf::kColumns, stride = columns * kRowsAlong, c = lane % 4;
  const DEVICE u8* rows[2];
  typename Leaf::Words w[2], ahead[2];
  UNROLL for (u32 i = 0; i < 2; ++i) {
    const u32 row = n0 + i * 8 + lane / 4;
    rows[i] = weight + (u64)(row < p.n ? row : p.n - 1) * p.row_bytes;
    if (begin < end) Leaf::load(rows[i], begin, p.k, c, w[i]);
  }
  wait_previous();
  LaneX<kRows> now, next;
  load_lane_x<kRows>(x, begin, p.k, lane, now);
  NO_UNROLL for (u32 k = begin; k < end; k += stride) {
    if (k + stride < end)
      UNROLL for (u32 i = 0; i < 2; ++i) Leaf::load(rows[i], k + stride, p.k, c, ahead[i]);
    UNROLL for (u32 step = 0; step < columns / 32; ++step) {
      load_lane_x<kRows>(x, k + (step + 1 < columns / 32 ? (step + 1) * 32 : stride), p.k, lane, next);
      if (k + step * 32 < end) multiply_rows<Leaf, kRows>(w, now, step, lane, sums);
      now = next;
    }
    UNROLL for (u32 i = 0; i < 2; ++i) w[i] = ahead[i];
  }
}

// `bare`: unless all columns are multiplied, the bare sums are stored. `shared`: kRowsAcross x 16 x kRows.
template <class Leaf, u32 kRows>
FN void linear_rows(const CONSTANT LinearParams& p, const THREAD LinearIo& io, const DEVICE u8* x,
                    const DEVICE f32* scales, const THREAD Place& at, u32 begin, u32 end, bool bare,
                    TGMEM f32* shared) {
  const u32 across = at.sg % kRowsAcross, along = at.sg / kRowsAcross;
  const u32 n0 = (at.x * kRowsAcross + across) * 16;
  MmaC sums[kRows / 16];
  rows_sums<Leaf, kRows>(p, io.weight, x, n0, begin + along * Leaf::kColumns, end, at.lane, sums);
  TGMEM f32* other = shared + across * 16 * kRows + at.lane;
  if (along == 1)
    UNROLL for (u32 t = 0; t < kRows / 16; ++t) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e)
        other[(t * MMA_ELEMS + e) * 32] = mma_get(sums[t], e);
  tg_barrier();
  if (along == 1) return;
  UNROLL for (u32 t = 0; t < kRows / 16; ++t) UNROLL for (u32 e = 0; e < MMA_ELEMS; ++e) {
    const u32 to = n0 + mma_row(e, at.lane), row = t * 16 + mma_col(e, at.lane);
    if (row >= io.rows || to >= p.n) continue;
    const f32 sum = (mma_get(sums[t], e) + other[(t * MMA_ELEMS + e) * 32]) * scales[row];
    if (bare)
      io.y[(u64)row * p.n + to] = sum;
    else
      finish(p, io, row, to, sum);
  }
}

#define LINEAR_ROWS(NAME, FORMAT, ROWS)                                                                     \
  KERNEL_RESIDENT(256, 2)                                                                                   \
  NAME(PARAMS(TileParams, p), IN(1, StepCounts, step), IN(2, u8, x), IN(3, f32, scales), IN(4, u8, weight), \
       IN(5, f32, bias), IN(6, f32, residual), OUT(7, f32, y) GRID) {                                       \
    GRID_BEGIN_EARLY                                                                                        \
    TGARRAY(f32, shared, kRowsAcross * 16 * ROWS);                                                          \
    launch_next();                                                                                          \
    const Place at = PLACE;                                                                                 \
    const LinearIo io = {                                                                                   \
        weight, bias, residual, y + (u64)at.z * p.part_rows * p.linear.n, row_count(step, p.linear.rows),   \
        false,  0};                                                                                         \
    const u32 k0 = at.z * p.part_columns, end = k0 + p.part_columns, k = p.linear.k;                        \
    linear_rows<LaneWords<FORMAT>, ROWS>(p.linear, io, x, scales, at, k0, end < k ? end : k, p.parts > 1,   \
                                         shared);                                                           \
  }

#else
#define LINEAR_ROWS(NAME, FORMAT, ROWS)
#endif
