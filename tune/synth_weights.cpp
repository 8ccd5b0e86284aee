// Encoding happens once for a pool; a row costs nothing but a random number.
#include "tune/synth_weights.h"

#include <algorithm>

#include "formats/all.h"

namespace medlar::tune {
namespace {

constexpr std::int64_t kPoolValues = 1 << 18;  // besides one row; encodes in a fraction of a second

}  // namespace

WeightPool::WeightPool(DType type, std::int64_t columns, Values values, std::mt19937_64& random)
    : block_bytes_(static_cast<std::size_t>(format_info(type).block_bytes)),
      row_bytes_(static_cast<std::size_t>(medlar::row_bytes(type, columns))) {
  const std::int64_t length = format_info(type).block_length;
  const std::int64_t starts = std::max<std::int64_t>(1, kPoolValues / length);
  starts_ = static_cast<std::size_t>(starts);
  const std::int64_t total = starts * length + columns;
  std::normal_distribution<float> normal(values.mean, values.deviation);
  std::vector<float> block(static_cast<std::size_t>(length));
  bytes_.resize(static_cast<std::size_t>(medlar::row_bytes(type, total)));
  for (std::size_t at = 0; at < bytes_.size(); at += block_bytes_) {
    std::ranges::generate(block, [&] { return normal(random); });
    encode_row(type, block.data(), bytes_.data() + at, length);
  }
}

std::span<const std::byte> WeightPool::row(std::mt19937_64& random) const {
  return std::span(bytes_).subspan(random() % starts_ * block_bytes_, row_bytes_);
}

}  // namespace medlar::tune
