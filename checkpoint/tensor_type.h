// Element types as files number them, and the sizes that follow from them; everything is checked.
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/tensor.h"

namespace medlar {

// GGUF's number as a type. Throws Error(unsupported) "WHAT: ..." naming a number that Medlar cannot run, and
// Error(bad_file) for one that was removed from GGUF or never existed.
DType tensor_type(std::uint32_t number, std::string_view what);

// Bytes of a tensor whose extents are positive. Throws Error(bad_file) "WHAT: ..." when a row is no whole
// number of blocks, or when the size overflows.
std::uint64_t tensor_bytes(DType type, const Shape& shape, std::string_view what);

}  // namespace medlar
