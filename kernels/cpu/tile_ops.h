// The kernels that use the matrix unit.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels {

// Steps of few rows, which the matrix unit does not pay for.
namespace avx512 {
void prepare(const void* args, const Step& step, const Slice& slice);
void linear(const void* args, const Step& step, const Slice& slice);
void attention(const void* args, const Step& step, const Slice& slice);
void attention_merge(const void* args, const Step& step, const Slice& slice);
size_t linear_scratch(const void* args, int max_tokens);
size_t attention_scratch(const void* args, int max_tokens);
// A block of a type that dot_unpacked multiplies: n codes, below 128, and scales and offsets.
void unpack_block(DType type, const std::byte* p, int64_t n, uint8_t* codes, float* scale, float* offset);
}  // namespace avx512

namespace MEDLAR_ISA {

// Weight types with rows for tiles.
// clang-format off
#define MEDLAR_TILE_TYPES(X)                                                                                           \
  X(f16) X(bf16)                                                                                                       \
  X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs) X(mxfp4)         \
  X(iq3_s) X(iq3_xxs) X(iq2_s) X(iq2_xs) X(iq2_xxs) X(iq1_m) X(iq1_s) X(tq2_0) X(tq1_0) X(nvfp4)
// clang-format on

template <DType kType>
void unpack_tiles(const UnpackTiles& a);

void prepare(const void* args, const Step& step, const Slice& slice);
void linear(const void* args, const Step& step, const Slice& slice);
void attention(const void* args, const Step& step, const Slice& slice);
void attention_merge(const void* args, const Step& step, const Slice& slice);
size_t linear_scratch(const void* args, int max_tokens);
size_t attention_scratch(const void* args, int max_tokens);

}  // namespace MEDLAR_ISA
}  // namespace medlar::kernels
