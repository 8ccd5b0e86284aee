// Products of one row of x with up to three matrices that read it (FewParams), for decoding. The outputs are
// dealt out in tiles to about one threadgroup a core, and there row by row to simdgroups: first the first
// kPiece values of all rows, then the next, so that a simdgroup keeps its part of x in registers. The pieces
// come through a ring of stages of its own, which is filled before the dispatches before this one have ended;
// nobody waits for another before the end, where the sums of a row's pieces are added up. Grid: p.groups.
#pragma once

#include "kernels/gpu/f32_dot.h"
#include "kernels/gpu/few.h"
#include "kernels/gpu/int8_dot.h"

// A piece: kValues neighbours of a row, kSteps units for each lane. A stage has the pieces of as many rows as
// leave room for a second one: what a simdgroup waits for, then multiplies, and then asks for again is better
// more at once.
template <class Leaf, u32 kValues, u32 kThreads>
struct OneShape {
  enum {
    kSimdgroups = kThreads / 32,
    kPiece = kValues,
    kSteps = kValues / 32 / Leaf::kUnit,
    kStepBytes = 32 / Leaf::kUnits * Leaf::kBlockBytes,
    kPieceBytes = kSteps * kStepBytes,
    kAligned = Leaf::kBlockBytes % 16 == 0,  // every piece is
    kSlotBytes =
        kPieceBytes + 16,  // at any alignment; whole lines of 128 bytes apart would be an eighth slower
    kShareBytes = kOneRingBytes / kSimdgroups / 16 * 16,  // of the ring, for a simdgroup
    kFlagBytes = 64,
    kPairs = (kShareBytes - kFlagBytes) / kSlotBytes / 2,
    kRows = kPairs >= 4   ? 4
            : kPairs >= 2 ? 2
                          : 1,
    kStageBytes = kRows * kSlotBytes,
    kStages = (kShareBytes - kFlagBytes) / kStageBytes < 8 ? (kShareBytes - kFlagBytes) / kStageBytes : 8,
  };
  static_assert(kPieceBytes % 16 == 0, "");
};

// Outputs of this threadgroup: `lines` in tiles, counted over all matrices, of which each begins a tile.
struct OneLines {
  u32 first, lines;
  u32 passes;  // gate and up
};

FN u32 one_tile(const CONSTANT FewParams& p) { return p.bytes ? kFewOutputs : kOneOutputs; }

FN OneLines one_lines(const CONSTANT FewParams& p, u32 group) {
  const u32 tile = one_tile(p);
  u32 tiles = ceil_div(p.n[0], tile);
  if (!p.glu) tiles += ceil_div(p.n[1], tile) + ceil_div(p.n[2], tile);
  const u32 first = group * tiles / p.groups, end = (group + 1) * tiles / p.groups;
  return {first * tile, (end - first) * tile, p.glu ? 2u : 1u};
}

FN FewOutput one_output(const CONSTANT FewParams& p, const THREAD OneLines& all, u32 line) {
  FewOutput at = {0, 0, all.first + line, false};
  if (!p.glu)
    for (; at.part < 2; ++at.part) {
      const u32 padded = ceil_div(extent(p, at.part), one_tile(p)) * one_tile(p);
      if (at.column < padded) break;
      at.column -= padded;
    }
  at.inside = line < all.lines && at.column < extent(p, at.part);
  return at;
}

// Where a simdgroup is in its pieces: kRows lines from `line` on, of gates or ups, `chunk` pieces from the
// begin of their rows.
struct OneCursor {
  u32 chunk, pass, line;
  u32 left;               // lines until the next matrix, pass or chunk
  i32 rows;               // of these, the first so many are rows
  u32 bytes;              // of a piece
  const DEVICE u8* from;  // the first line's piece
};

template <class Shape>
FN void enter_matrix(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD OneLines& all,
                     THREAD OneCursor& c) {
  const FewOutput at = one_output(p, all, c.line);
  const u32 part = p.glu ? c.pass : at.part, begin = c.chunk * Shape::kPieceBytes;
  const u32 padded = ceil_div(extent(p, part), one_tile(p)) * one_tile(p);
  c.left = all.lines - c.line < padded - at.column ? all.lines - c.line : padded - at.column;
  c.rows = (i32)(extent(p, part) - at.column);
  const u32 most = Shape::kPieceBytes;
  c.bytes = p.row_bytes - begin < most ? p.row_bytes - begin : most;
  c.from = pick(io.weight, part) + (u64)at.column * p.row_bytes + begin;
}

template <class Shape>
FN void advance(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD OneLines& all,
                THREAD OneCursor& c) {
  c.line += Shape::kRows;
  c.left -= Shape::kRows;
  c.rows -= (i32)Shape::kRows;
  c.from += Shape::kRows * p.row_bytes;
  if (c.left != 0) return;
  if (c.line == all.lines) {
    c.line = 0;
    if (++c.pass == all.passes) c.pass = 0, ++c.chunk;
  }
  enter_matrix<Shape>(p, io, all, c);
}

// A simdgroup's part of the ring.
struct OneRing {
  TGMEM u64* flags;
  TGMEM u8* stages;
};

// Starts the copies of a stage, if there are more pieces.
template <class Shape>
FN void fill_stage(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD OneLines& all,
                   THREAD OneCursor& c, bool more, const THREAD OneRing& ring, u32 stage, u32 lane) {
  ring_fill<Shape::kRows, Shape::kSlotBytes>(ring.flags + stage, ring.stages + stage * Shape::kStageBytes,
                                             c.from, p.row_bytes, more ? c.rows : 0, c.bytes, lane);
  if (more) advance<Shape>(p, io, all, c);
}

// The part of x that a simdgroup's pieces meet, and which of its units the row has.
template <class Leaf, class Shape>
struct OneX {
  typename Leaf::X x[Shape::kSteps];
  bool inside[Shape::kSteps];
};
template <class Leaf, class Shape>
FN void load_part(const THREAD RowOfX& x, u32 chunk, u32 lane, THREAD OneX<Leaf, Shape>& part) {
  UNROLL for (u32 s = 0; s < Shape::kSteps; ++s) {
    const u32 step = chunk * Shape::kSteps + s;
    part.inside[s] = step * 32 + lane < x.k / Leaf::kUnit;
    if (part.inside[s]) Leaf::load_x(x, step, lane, part.x[s]);
  }
}

// What a stage's pieces come to with it, the lane's share of each row. `begin`: the first piece's.
template <class Leaf, class Shape>
FN void add_pieces(const TGMEM u8* begin, const THREAD u32* offset, const THREAD OneX<Leaf, Shape>& part,
                   u32 lane, THREAD f32* acc) {
  typename Leaf::Words w[Shape::kSteps][Shape::kRows];
  const u32 block = lane / Leaf::kUnits * Leaf::kBlockBytes;
  UNROLL for (u32 s = 0; s < Shape::kSteps; ++s) UNROLL for (u32 r = 0; r < Shape::kRows; ++r)
      Leaf::template load<StagedWeights>(
          begin + r * Shape::kSlotBytes + offset[r] + s * Shape::kStepBytes + block, lane, w[s][r]);
  UNROLL for (u32 r = 0; r < Shape::kRows; ++r) {
    acc[r] = 0.f;
    UNROLL for (u32 s = 0; s < Shape::kSteps; ++s) {
      const f32 dot = Leaf::dot(w[s][r], part.x[s], lane);
      acc[r] += part.inside[s] ? dot : 0.f;  // behind the row's end is anything
    }
  }
}

// The first and the last of a simdgroup's groups of kRows lines. They are numbered by chunk, pass and line.
struct OneGroups {
  u32 first, end;
  u32 in_chunk;
};
template <class Shape>
FN OneGroups one_groups(const CONSTANT FewParams& p, const THREAD OneLines& all, u32 sg) {
  const u32 in_chunk = all.passes * all.lines / Shape::kRows,
            groups = ceil_div(p.k, Shape::kPiece) * in_chunk;
  return {sg * groups / Shape::kSimdgroups, (sg + 1) * groups / Shape::kSimdgroups, in_chunk};
}
template <class Shape>
FN OneCursor one_cursor(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD OneLines& all,
                        const THREAD OneGroups& groups) {
  const u32 skipped = groups.first % groups.in_chunk * Shape::kRows;
  OneCursor c;
  c.chunk = groups.first / groups.in_chunk;
  c.pass = skipped >= all.lines ? 1u : 0u;
  c.line = skipped - c.pass * all.lines;
  enter_matrix<Shape>(p, io, all, c);
  return c;
}

// What becomes of a simdgroup's first outputs: loaded while it adds up.
struct OneOutput {
  FewOutput at;
  FewOperands operands;
  f32 scale;
};

// The simdgroup's pieces of all sums: sums[kRows g + r] of row r in group g. The next dispatch may start when
// the first are added up: its copies would delay x.
template <class Leaf, class Shape>
FN void one_sums(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD OneLines& all,
                 const THREAD Place& place, const THREAD OneRing& ring, TGMEM f32* sums,
                 THREAD OneOutput& out) {
  const u32 lane = place.lane;
  const OneGroups groups = one_groups<Shape>(p, all, place.sg);
  OneCursor fill = one_cursor<Shape>(p, io, all, groups), take = fill;
  u32 g = groups.first, chunk = fill.chunk;
  ring_begin<Shape::kStages>(ring.flags, lane);
  NO_UNROLL for (u32 s = 0; s < Shape::kStages; ++s)
      fill_stage<Shape>(p, io, all, fill, g + s < groups.end, ring, s, lane);
  wait_previous();

  const RowOfX x = row_of_x(p, io, 0, 0);
  OneX<Leaf, Shape> part;
  load_part<Leaf, Shape>(x, chunk, lane, part);
  if (place.sg * 32 < all.lines) {
    out.at = one_output(p, all, place.sg * 32 + lane);
    out.operands = load_operands(p, io, out.at);
    if (p.norm) out.scale = Leaf::norm(x, p.eps, lane);
  }
  u32 stage = 0, parity = 0, until = (chunk + 1) * groups.in_chunk;
  NO_UNROLL for (; g < groups.end; ++g) {
    if (g == until) load_part<Leaf, Shape>(x, ++chunk, lane, part), until += groups.in_chunk;
    u32 offset[Shape::kRows];
    UNROLL for (u32 r = 0; r < Shape::kRows; ++r) offset[r] =
        Shape::kAligned ? 0u : ring_offset(take.from + r * p.row_bytes);
    if (!Shape::kAligned) advance<Shape>(p, io, all, take);
    ring_wait<Shape::kStages>(ring.flags + stage, parity, lane);
    f32 acc[Shape::kRows];
    add_pieces<Leaf, Shape>(ring.stages + stage * Shape::kStageBytes, offset, part, lane, acc);
    simd_fence();
    fill_stage<Shape>(p, io, all, fill, g + Shape::kStages < groups.end, ring, stage, lane);
    const f32 sum = simd_sums<Shape::kRows>(acc, lane);
    if (lane % (32 / Shape::kRows) == 0) sums[g * Shape::kRows + lane / (32 / Shape::kRows)] = sum;
    if (g == groups.first) launch_next();
    if (++stage == Shape::kStages) stage = 0, parity ^= 1u;
  }
}

// `sums`: kOneSums.
template <class Leaf, class Shape>
FN void linear_one(const CONSTANT FewParams& p, const THREAD FewIo& io, const THREAD Place& place,
                   TGMEM u8* ring, TGMEM f32* sums) {
  if (io.rows == 0) {
    wait_previous();
    return;
  }
  const OneLines all = one_lines(p, place.x);
  OneOutput out = {{0, 0, 0, false}, {0.f, 0.f, 0.f, 1.f}, 1.f};
  TGMEM u8* const share = ring + place.sg * Shape::kShareBytes;
  const OneRing mine = {(TGMEM u64*)share, share + Shape::kFlagBytes};
  one_sums<Leaf, Shape>(p, io, all, place, mine, sums, out);
  tg_barrier();
  const u32 stride = all.passes * all.lines, pieces = ceil_div(p.k, Shape::kPiece) * stride;
  for (u32 first = place.sg * 32; first < all.lines; first += Shape::kSimdgroups * 32) {
    if (first != place.sg * 32) {
      out.at = one_output(p, all, first + place.lane);
      out.operands = load_operands(p, io, out.at);
    }
    f32 sum = 0.f, up = 0.f;
    if (out.at.inside)
      for (u32 i = first + place.lane; i < pieces; i += stride) {
        sum += sums[i];
        if (p.glu) up += sums[i + all.lines];
      }
    finish_few(p, io, out.at, out.operands, sum, up, out.scale, place.lane);
  }
}

#define LINEAR_ONE(NAME, LEAF, PIECE, THREADS)           \
  KERNEL_RESIDENT(THREADS, 2) NAME(FEW_ARGUMENTS GRID) { \
    GRID_BEGIN_EARLY                                     \
    typedef OneShape<LEAF, PIECE, THREADS> Shape;        \
    TGRING(ring, kOneRingBytes);                         \
    TGARRAY(f32, sums, kOneSums);                        \
    const Place place = PLACE;                           \
    const FewIo io = FEW_IO;                             \
    linear_one<LEAF, Shape>(p, io, place, ring, sums);   \
  }
