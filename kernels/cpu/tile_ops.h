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
}  // namespace avx512

namespace MEDLAR_ISA {

// Weight types with rows for tiles.
#define MEDLAR_TILE_TYPES(X) \
  X(f16)                     \
  X(bf16)                    \
  X(q4_0) X(q4_1) X(q5_0) X(q5_1) X(q8_0) X(q2_k) X(q3_k) X(q4_k) X(q5_k) X(q6_k) X(iq4_nl) X(iq4_xs) X(mxfp4)

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
