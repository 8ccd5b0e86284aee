// The byte layout of prepared activation rows, the same for every instruction set.
//
//   f32     width floats
//   q8_32   ceil(width / 256) groups of Q8x32
//   q8_256  width / 256 groups of Q8x256; width is a multiple of 256
//
// A row is padded with zeros to a multiple of 64 bytes. Codes are in [-127, 127].
#pragma once

#include <cstddef>
#include <cstdint>

namespace medlar::kernels {

// Eight blocks of 32 values: value[i] = scale[i / 32] * q[i].
struct alignas(64) Q8x32 {
  std::int8_t q[256];
  float scale[8];  // max|x| / 127 of the block
  float sum[8];    // scale times the block's sum of q
};

// One block of 256 values: value[i] = scale * q[i].
struct alignas(64) Q8x256 {
  std::int8_t q[256];
  std::int16_t sum16[16];  // sums of 16 q each
  std::int16_t sum32[8];   // sums of 32 q each
  float scale;             // max|x| / 127 of the block
};

static_assert(sizeof(Q8x32) == 320 && sizeof(Q8x256) == 320);

inline constexpr std::int64_t kActGroup = 256;  // values in one group of either kind

}  // namespace medlar::kernels
