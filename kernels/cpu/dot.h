// The leaf products of one instruction set: rows of weights with prepared activations.
#pragma once

#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

// From this many activation rows on, weights are unpacked a panel at a time and serve them all: where that is
// faster than multiplying straight from the blocks, for int8 activations and for f32 ones.
inline constexpr int64_t kPanelFrom = 7;
inline constexpr int64_t kF32PanelFrom = 13;

// With f32 activations: the exact product of every type.
void dot_f32(DType type, const RowsDot& a);
// With the type's quantized activations.
void dot_q8(DType type, const RowsDot& a);

// n values of a weight row, from the start of a block on.
void row_values(DType type, const std::byte* from, int64_t n, float* to);

// The direct path of all types; of those with blocks of 256; of those that are unpacked first
// (dot_unpacked.cpp).
void dot_direct(DType type, const RowsDot& a);
void dot_direct_256(DType type, const RowsDot& a);
void dot_unpacked(DType type, const RowsDot& a);

// Scratch that makes the panel path possible; without it the direct path runs.
size_t dot_f32_scratch();
size_t dot_q8_scratch();

}  // namespace medlar::kernels::MEDLAR_ISA
