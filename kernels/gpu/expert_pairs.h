// The pairs of a row and an expert whose weight is not 0, by expert, then by row, as products want them: in
// blocks of one expert each. One threadgroup: a counting sort whose cells are the experts, each in as many
// slices of rows as there are threads for.
#pragma once

#include "kernels/gpu/common.h"

enum { kPairThreads = 256 };

// The cells of a step, `slices` of each expert: cell c counts the pairs of expert c / slices.
struct PairCells {
  u32 experts, slices, rows;
};

// Visits the rows of cell i, in an order of cells in which neighbouring threads read neighbouring weights.
FN u32 cell_of(const THREAD PairCells& c, u32 i) { return i % c.experts * c.slices + i / c.experts; }
FN u32 first_row(const THREAD PairCells& c, u32 slice) { return c.rows * slice / c.slices; }

FN void count_pairs(const THREAD PairCells& c, const DEVICE f32* weights, u32 tid, TGMEM u32* cells) {
  for (u32 i = tid; i < c.experts * c.slices; i += kPairThreads) {
    const u32 slice = i / c.experts, end = first_row(c, slice + 1);
    u32 count = 0;
    for (u32 m = first_row(c, slice); m < end; ++m)
      count += weights[(u64)m * c.experts + i % c.experts] != 0.f ? 1 : 0;
    cells[cell_of(c, i)] = count;
  }
}

// Counts become the first pair of each cell. cells[n] is the number of all.
FN void place_cells(u32 n, u32 tid, TGMEM u32* cells, TGMEM u32* values, TGMEM u32* sums) {
  const u32 share = ceil_div(n, kPairThreads), begin = tid * share < n ? tid * share : n,
            end = begin + share < n ? begin + share : n;
  u32 mine = 0;
  for (u32 i = begin; i < end; ++i) mine += cells[i];
  u32 next = running_sum(mine, values, sums, tid) - mine;
  for (u32 i = begin; i < end; ++i) {
    const u32 count = cells[i];
    cells[i] = next;
    next += count;
  }
  if (tid == kPairThreads - 1) cells[n] = next;
  tg_barrier();
}

// rows_of: the row of each pair. places: (rows, experts) the pair of a row and an expert.
FN void write_pairs(const THREAD PairCells& c, const DEVICE f32* weights, u32 tid, const TGMEM u32* cells,
                    DEVICE i32* rows_of, DEVICE i32* places) {
  for (u32 i = tid; i < c.experts * c.slices; i += kPairThreads) {
    const u32 slice = i / c.experts, end = first_row(c, slice + 1);
    u32 pair = cells[cell_of(c, i)];
    for (u32 m = first_row(c, slice); m < end; ++m) {
      const u64 at = (u64)m * c.experts + i % c.experts;
      if (weights[at] == 0.f) continue;
      rows_of[pair] = (i32)m;
      places[at] = (i32)pair++;
    }
  }
}

// Blocks past the last have no rows.
FN void write_blocks(const CONSTANT ExpertPairsParams& p, u32 slices, u32 tid, const TGMEM u32* cells,
                     TGMEM u32* values, TGMEM u32* sums, DEVICE ExpertBlock* blocks) {
  const u32 share = ceil_div(p.experts, kPairThreads), begin = tid * share,
            end = begin + share < p.experts ? begin + share : p.experts;
  u32 mine = 0;
  for (u32 e = begin; e < end; ++e)
    mine += ceil_div(cells[(e + 1) * slices] - cells[e * slices], p.block_rows);
  u32 next = running_sum(mine, values, sums, tid) - mine;
  for (u32 e = begin; e < end; ++e)
    for (u32 first = cells[e * slices], last = cells[(e + 1) * slices]; first < last; first += p.block_rows) {
      blocks[next].expert = e;
      blocks[next].first = first;
      blocks[next++].rows = last - first < p.block_rows ? last - first : p.block_rows;
    }
  if (tid == kPairThreads - 1) values[0] = next;
  tg_barrier();
  for (u32 i = values[0] + tid; i < p.blocks; i += kPairThreads) blocks[i].rows = 0;
}

KERNEL(256)
expert_pairs(PARAMS(ExpertPairsParams, p), IN(1, StepCounts, step), IN(2, f32, weights),
             OUT(3, ExpertBlock, blocks), OUT(4, i32, rows_of), OUT(5, i32, places) GRID) {
  GRID_BEGIN
  TGARRAY(u32, cells, kMaxExperts + 1);
  TGARRAY(u32, values, kPairThreads);
  TGARRAY(u32, sums, kPairThreads / 32);
  const PairCells c = {p.experts, p.experts < kPairThreads ? kPairThreads / p.experts : 1,
                       row_count(step, p.rows)};
  count_pairs(c, weights, gk_tid, cells);
  tg_barrier();
  place_cells(p.experts * c.slices, gk_tid, cells, values, sums);
  write_pairs(c, weights, gk_tid, cells, rows_of, places);
  write_blocks(p, c.slices, gk_tid, cells, values, sums, blocks);
}
