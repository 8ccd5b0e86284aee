// y = x W^T [+ bias] [+ residual], or activation(x G^T) * (x U^T), for hundreds of rows of x: NVIDIA's matrix
// unit of compute capability 9.0, whose operands are f16 tiles that prepare and unpack have written
// (swizzled_tiles.h).
//
// A threadgroup takes tiles of 128 rows x HALVES * 128 outputs, one after the other. Its first four
// simdgroups feed: one thread copies tiles of x and W through a ring of stages. Two groups of four multiply,
// 64 rows each. With `glu` the halves are the same outputs of gate and up, so that a thread holds both. Tiles
// next to each other in the order share weights, and up to 16 of them all rows, so that both come from the
// cache. Grid: (as many threadgroups as run at once).
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/prelude/wgmma.h"

#ifdef GK_WGMMA

enum { kWgmmaStages = 4, kWgmmaRowGroup = 16, kWgmmaMultipliers = 8 };  // simdgroups that multiply

struct WgmmaIo {
  const DEVICE u8* x;
  const DEVICE f32* scales;
  const DEVICE u8* weights[2];  // of each half: tiles of gate and up, or twice the same
  const DEVICE f32* bias;
  const DEVICE f32* residual;
  DEVICE f32* y;
  u32 rows;
};

// A place in the ring, which goes on from tile to tile.
struct WgmmaRing {
  TGMEM u8* stages;
  TGMEM u64* full;
  TGMEM u64* empty;
  u32 at;
};

struct WgmmaTile {
  u32 row, column;  // in tiles
};

FN u32 wgmma_tiles(const CONSTANT WgmmaParams& p, u32 rows) {
  return ceil_div(rows, kSwizzledRows) * p.n_tiles;
}

FN WgmmaTile wgmma_tile(const CONSTANT WgmmaParams& p, u32 rows, u32 i) {
  const u32 row_tiles = ceil_div(rows, kSwizzledRows),
            first = i / (kWgmmaRowGroup * p.n_tiles) * kWgmmaRowGroup;
  const u32 rest = i - first * p.n_tiles;
  const u32 left = row_tiles - first, most = kWgmmaRowGroup, group = left < most ? left : most;
  const WgmmaTile tile = {first + rest % group, rest / group};
  return tile;
}

template <u32 kHalves>
FN void wgmma_feed(const CONSTANT WgmmaParams& p, const THREAD WgmmaIo& io, THREAD WgmmaRing& ring,
                   WgmmaTile tile) {
  const u64 row_bytes = (u64)p.k_tiles * kSwizzledBytes;  // of a row of tiles
  const DEVICE u8* x = io.x + tile.row * row_bytes;
  const DEVICE u8* w[kHalves];
  UNROLL for (u32 h = 0; h < kHalves; ++h) w[h] =
      io.weights[h] + (p.glu ? tile.column : tile.column * kHalves + h) * row_bytes;
  for (u32 k = 0; k < p.k_tiles; ++k, ++ring.at) {
    const u32 s = ring.at % kWgmmaStages;
    TGMEM u8* to = ring.stages + s * (1 + kHalves) * kSwizzledBytes;
    phase_wait(ring.empty + s, ~(ring.at / kWgmmaStages) & 1u);
    phase_expect(ring.full + s, (1 + kHalves) * kSwizzledBytes);
    bulk_copy(to, x + k * kSwizzledBytes, kSwizzledBytes, ring.full + s);
    UNROLL for (u32 h = 0; h < kHalves; ++h)
        bulk_copy(to + (1 + h) * kSwizzledBytes, w[h] + k * kSwizzledBytes, kSwizzledBytes, ring.full + s);
  }
}

// The sums of `part`: of the tile's first or second 64 rows.
template <u32 kHalves>
FN void wgmma_multiply(const CONSTANT WgmmaParams& p, THREAD WgmmaRing& ring, THREAD WgSums<kHalves * 128>& c,
                       u32 part, u32 lane) {
  wg_zero(c);
  for (u32 k = 0; k < p.k_tiles; ++k, ++ring.at) {
    const u32 s = ring.at % kWgmmaStages;
    const TGMEM u8* a = ring.stages + s * (1 + kHalves) * kSwizzledBytes + part * (kSwizzledBytes / 2);
    const TGMEM u8* b = ring.stages + s * (1 + kHalves) * kSwizzledBytes + kSwizzledBytes;
    phase_wait(ring.full + s, ring.at / kWgmmaStages & 1u);
    wg_start();
    UNROLL for (u32 i = 0; i < kSwizzledColumns / 16; ++i) wg_mma(c, a + i * 32, b + i * 32);
    wg_commit();
    wg_wait<1>();  // the stage before this one has been read
    if (k > 0 && lane == 0) phase_arrive(ring.empty + (ring.at + kWgmmaStages - 1) % kWgmmaStages);
  }
  wg_wait<0>();
  if (lane == 0) phase_arrive(ring.empty + (ring.at + kWgmmaStages - 1) % kWgmmaStages);
}

FN void wgmma_store_one(const CONSTANT WgmmaParams& p, const THREAD WgmmaIo& io, u64 to, u32 column, f32 v) {
  if (p.has_bias) v += io.bias[column];
  if (p.has_residual) v += io.residual[to];
  io.y[to] = v;
}

// Two neighbouring outputs of a row, `column` the first, counted from the part's. `pairs`: they are there
// both or not at all, at multiples of eight bytes.
FN void wgmma_store(const CONSTANT WgmmaParams& p, const THREAD WgmmaIo& io, u32 row, u32 column, bool pairs,
                    f32 a, f32 b) {
  if (column >= p.part) return;
  const u32 n = p.first + column;
  const u64 to = (u64)row * p.n + n;
  if (!pairs) {
    wgmma_store_one(p, io, to, n, a);
    if (column + 1 < p.part) wgmma_store_one(p, io, to + 1, n + 1, b);
    return;
  }
  f32 more[2] = {0.f, 0.f};
  if (p.has_residual) ld_f32x2(io.residual + to, more);
  if (p.has_bias) more[0] += io.bias[n], more[1] += io.bias[n + 1];
  st_f32x2(io.y + to, a + more[0], b + more[1]);
}

// As gated(), in few instructions: this is repeated for every element that a thread holds.
FN f32 wgmma_gate(u32 activation, f32 x, f32 up) {
  f32 u = activation == kActivationGelu ? 1.5957691216f * (x + 0.044715f * x * x * x) : x;
  if (activation == kActivationClampedSilu) {
    x = x > 7.f ? 7.f : x;
    u = 1.702f * x;
    up = (up > 7.f ? 7.f : up < -7.f ? -7.f : up) + 1.f;
  }
  return up * (activation == kActivationNone ? x : x * reciprocal(1.f + g_exp(-u)));
}

template <u32 kHalves>
FN void wgmma_finish(const CONSTANT WgmmaParams& p, const THREAD WgmmaIo& io,
                     const THREAD WgSums<kHalves * 128>& c, WgmmaTile tile, u32 part, u32 thread) {
  const bool pairs = p.n % 2 == 0 && p.first % 2 == 0 && p.part % 2 == 0;
  UNROLL for (u32 i = 0; i < 2; ++i) {
    const u32 row = tile.row * kSwizzledRows + part * 64 + wg_row(i * 2, thread);
    if (row >= io.rows) continue;
    const f32 scale = io.scales[row];
    if (kHalves == 2 && p.glu) {
      UNROLL for (u32 e = i * 2; e < 64; e += 4) {
        const f32 a = wgmma_gate(p.activation, wg_get(c, e) * scale, wg_get(c, e + kHalves * 32) * scale),
                  b = wgmma_gate(p.activation, wg_get(c, e + 1) * scale,
                                 wg_get(c, e + 1 + kHalves * 32) * scale);
        wgmma_store(p, io, row, tile.column * kSwizzledRows + wg_col(e, thread), pairs, a, b);
      }
    } else {
      UNROLL for (u32 e = i * 2; e < kHalves * 64; e += 4)
          wgmma_store(p, io, row, tile.column * kHalves * kSwizzledRows + wg_col(e, thread), pairs,
                      wg_get(c, e) * scale, wg_get(c, e + 1) * scale);
    }
  }
}

template <u32 kHalves>
FN void linear_wgmma(const CONSTANT WgmmaParams& p, const THREAD WgmmaIo& io, THREAD WgmmaRing& ring,
                     const THREAD Place& at, u32 groups) {
  if (at.tid == 0) {
    UNROLL for (u32 s = 0; s < kWgmmaStages; ++s) phase_init(ring.full + s, 1),
        phase_init(ring.empty + s, kWgmmaMultipliers);
    phases_ready();
  }
  tg_barrier();
  const u32 tiles = wgmma_tiles(p, io.rows);
  if (at.sg < 4) {
    give_registers<40>();
    if (at.tid == 0)
      for (u32 i = at.x; i < tiles; i += groups) wgmma_feed<kHalves>(p, io, ring, wgmma_tile(p, io.rows, i));
  } else {
    take_registers<232>();
    const u32 part = at.sg / 4 - 1;
    WgSums<kHalves * 128> c;
    for (u32 i = at.x; i < tiles; i += groups) {
      wgmma_multiply<kHalves>(p, ring, c, part, at.lane);
      wgmma_finish<kHalves>(p, io, c, wgmma_tile(p, io.rows, i), part, at.tid % 128);
    }
  }
}

#define LINEAR_WGMMA(NAME, HALVES)                                                                          \
  KERNEL_RESIDENT(384, 1)                                                                                   \
  NAME(PARAMS(WgmmaParams, p), IN(1, StepCounts, step), IN(2, u8, x), IN(3, f32, scales), IN(4, u8, first), \
       IN(5, u8, second), IN(6, f32, bias), IN(7, f32, residual), OUT(8, f32, y) GRID) {                    \
    GRID_BEGIN                                                                                              \
    TGLARGE(u8, stages);                                                                                    \
    TGARRAY(u64, full, kWgmmaStages);                                                                       \
    TGARRAY(u64, empty, kWgmmaStages);                                                                      \
    const Place at = PLACE;                                                                                 \
    const WgmmaIo io = {x, scales, {first, second}, bias, residual, y, row_count(step, p.rows)};            \
    WgmmaRing ring = {stages, full, empty, 0};                                                              \
    linear_wgmma<HALVES>(p, io, ring, at, p.groups);                                                        \
  }

#else
#define LINEAR_WGMMA(NAME, HALVES)
#endif
