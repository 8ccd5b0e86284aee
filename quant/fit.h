// The search for blocks: scales, minimums and codes that bring a block close to given values by the weighted
// sum of squared errors. Three steps, the same for every format:
//
//   1. each group on its own: a grid of scales; for each the values' codes, and for these codes the best
//   scale
//      and minimum (weighted least squares); the best of the grid again, as long as that helps
//   2. scales become integers times one factor: of the integers near each, the one whose codes fit best
//   3. the best factor for these codes and integers; and again from 2, as long as that helps
//
// Values are finite, and weights finite and not negative.
#pragma once

#include <array>
#include <span>

#include "formats/superblock.h"

namespace medlar::quant {

using formats::f32;
using formats::i32;
using formats::i8;
using formats::u16;
using formats::u32;
using formats::u8;

struct Effort {
  int grid;         // scales tried on either side of the one that spans the values
  int shifts;       // minimums tried besides the least value
  int refinements;  // of a group on its own
  int rounds;       // of steps 2 and 3
  int reach;        // integers tried on either side, in step 2
  int factors;      // tried at first, besides the one that spans the scales
};

inline constexpr Effort kQuick{
    .grid = 6, .shifts = 0, .refinements = 2, .rounds = 1, .reach = 0, .factors = 0};
inline constexpr Effort kThorough{
    .grid = 12, .shifts = 3, .refinements = 8, .rounds = 4, .reach = 1, .factors = 4};

// A block's values and how much an error of each counts; as long as each other.
struct Weighted {
  const f32* x;
  const f32* weight;
};

formats::AffineSuperblock fit_affine(Weighted block, const formats::AffineShape& shape, const Effort& effort);
formats::SymmetricSuperblock fit_symmetric(Weighted block, const formats::SymmetricShape& shape,
                                           const Effort& effort);

// 32 values in a single group: x[i] ~ d * codes[i] + m.
struct AffineBlock {
  u16 d, m;  // f16
  u8 codes[32];
};
AffineBlock fit_affine_block(Weighted block, u32 top_code, const Effort& effort);

// 32 values in a single group: x[i] ~ d * values[codes[i]], with whole values from first to last or those of
// a codebook.
struct SymmetricBlock {
  u16 d;  // f16
  u8 codes[32];
};
SymmetricBlock fit_symmetric_block(Weighted block, const formats::Codebook& book, const Effort& effort);

}  // namespace medlar::quant
