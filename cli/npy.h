// NumPy's array file, format 1.0: a header line, then the numbers in row order.
#pragma once

#include <cstdint>
#include <string>

namespace medlar::cli {

// The header of a little-endian float32 array (rows, columns), 64-byte aligned as NumPy writes it.
std::string npy_header(std::int64_t rows, std::int64_t columns);

}  // namespace medlar::cli
