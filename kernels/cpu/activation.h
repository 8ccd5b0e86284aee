// The byte layout of prepared activation rows, the same for every instruction set.
//
//   f32     width floats
//   q8      ceil(width / 256) groups of Q8Group
//
// A row is padded with zeros to a multiple of 64 bytes.
//
// For a matrix unit, a batch has bf16 tiles instead of 16 rows by 32 values each:
// [row / 16][value / 32][16 lines][16 rows][2], where line i holds values i and 16 + i of the 32. What
// stands in place of missing rows is never read into a result.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medlar::kernels {

inline constexpr std::int64_t kActBlock = 32;   // values that share a scale
inline constexpr std::int64_t kActGroup = 256;  // values in one group

// Eight blocks of 32 values: value[i] = scale[i / 32] * q[i], except that a block's outlier is kept as it is,
// with the code 0: activations of language models have single values far above their neighbours, which would
// leave these few of the 255 codes (Dettmers et al., LLM.int8(), 2022). Sums are of values, so offsets of
// weights need no other.
struct alignas(64) Q8Group {
  std::int8_t q[kActGroup];  // in [-127, 127]
  float scale[8];            // max|x| / 127 of the block without its outlier
  float sum[8];              // of the block's values
  float half_sum[16];        // of 16 values each
  float outlier[8];          // of each block, or 0
  std::uint8_t at[8];        // where in its block
  std::uint8_t outliers;     // bit b: block b has one
};

static_assert(sizeof(Q8Group) == 448);

// A value is an outlier where its square is more than this share of its block's sum of squares. A lower one
// keeps more values apart, for more work and a little more precision.
inline constexpr float kOutlierShare = 0.6f;

}  // namespace medlar::kernels
