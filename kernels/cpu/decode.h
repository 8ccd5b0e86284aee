// Rows of weights and KV values as f32, and back, for any type: formats/ behind plain functions, so that no
// inline code of other rooms is compiled with an instruction set that the machine may lack.
#pragma once

#include <cstddef>
#include <cstdint>

#include "formats/dtype.h"

namespace medlar::kernels {

// n values starting at a block boundary.
void decode_values(DType type, const std::byte* from, float* to, std::int64_t n);
void encode_values(DType type, const float* from, std::byte* to, std::int64_t n);

// Bytes of n values, a whole number of blocks.
std::int64_t stored_bytes(DType type, std::int64_t n);

}  // namespace medlar::kernels
