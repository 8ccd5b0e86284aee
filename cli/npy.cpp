#include "cli/npy.h"

#include <bit>

#include <fmt/format.h>

namespace medlar::cli {

static_assert(std::endian::native == std::endian::little);

std::string npy_header(std::int64_t rows, std::int64_t columns) {
  constexpr std::size_t kPrefix = 10, kAlignment = 64;  // "\x93NUMPY", version, length of the rest
  std::string text =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  while ((kPrefix + text.size() + 1) % kAlignment != 0) text += ' ';
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

}  // namespace medlar::cli
