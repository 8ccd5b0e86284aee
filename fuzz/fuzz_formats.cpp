// Weight formats: any bytes are blocks, and any values can be written: nothing is read beside blocks and
// tables, and what is not finite is not hidden.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/all.h"

namespace medlar::fuzz {
namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

bool all_finite(const std::vector<float>& values) {
  return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
}

// The bytes, again and again, in place of `to`.
void fill(std::span<const std::uint8_t> from, std::span<std::byte> to) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<std::byte>(from[i % from.size()]);
}

// Vectors of the exact size, so that a step over their end is noticed.
void check(const FormatInfo& info, std::span<const std::uint8_t> data) {
  const auto length = static_cast<std::size_t>(info.block_length);
  std::vector<std::byte> block(static_cast<std::size_t>(info.block_bytes));
  std::vector<float> values(length), back(length);
  fill(data, block);
  decode_row(info.type, block.data(), values.data(), info.block_length);

  fill(data, std::as_writable_bytes(std::span(values)));
  encode_row(info.type, values.data(), block.data(), info.block_length);
  decode_row(info.type, block.data(), back.data(), info.block_length);
  if (info.type == DType::nvfp4)
    require(all_finite(back));
  else if (!all_finite(values))
    require(!all_finite(back));
}

}  // namespace
}  // namespace medlar::fuzz

// The first byte chooses among the formats.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::vector<medlar::FormatInfo> formats;
  for (const medlar::FormatInfo& info : medlar::formats::all_infos())
    if (info.is_weight()) formats.push_back(info);
  medlar::fuzz::check(formats[data[0] % formats.size()], std::span(data + 1, size - 1));
  return 0;
}
