#include "huggingface/recipe.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "formats/all.h"

namespace medlar::huggingface {

bool Recipe::stays_f32() const {
  return shape.rank() < 2 || name.find("_norm.") != name.npos || name.find("ffn_gate_inp") != name.npos;
}

DType Recipe::type() const {
  if (packed) return packed->type();
  return pieces.empty() ? DType::f32 : *safetensors::weight_format(pieces.front().tensor->type);
}

std::optional<std::span<const std::byte>> Recipe::in_place() const {
  if (pieces.empty() || addend != 0 || packed) return std::nullopt;
  const std::int64_t rows_each = rows() / std::ssize(pieces);
  const auto bytes = static_cast<std::size_t>(row_bytes(type(), columns()) * rows_each);
  const std::size_t row_size = bytes / static_cast<std::size_t>(rows_each);
  const auto begin = [&](const Piece& p) {
    return p.tensor->bytes.data() + static_cast<std::size_t>(p.first) * row_size;
  };
  for (std::size_t i = 1; i < pieces.size(); ++i)
    if (begin(pieces[i]) != begin(pieces[i - 1]) + bytes) return std::nullopt;
  return std::span(begin(pieces.front()), bytes * pieces.size());
}

std::pair<const safetensors::Tensor*, std::int64_t> Recipe::place(std::int64_t index) const {
  const std::int64_t all = rows(), each = all / std::ssize(pieces);
  if (heads > 0) {
    const std::int64_t head = all / heads, at = index % head;
    index += at / 2 + at % 2 * (head / 2) - at;
  }
  const Piece& piece = pieces[static_cast<std::size_t>(index / each)];
  return {piece.tensor, piece.first + index % each};
}

const std::byte* Recipe::row(std::int64_t index) const {
  const auto [tensor, at] = place(index);
  return tensor->bytes.data() + static_cast<std::size_t>(at * row_bytes(type(), columns()));
}

void Recipe::decode(std::int64_t first, std::int64_t count, float* out) const {
  const std::int64_t width = columns();
  if (pieces.empty()) {
    std::copy_n(made.begin() + first * width, count * width, out);
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    if (packed)
      packed->decode(place(first + i).second, out + i * width);
    else
      decode_row(type(), row(first + i), out + i * width, width);
  }
  if (addend == 0) return;
  for (float& x : std::span(out, static_cast<std::size_t>(count * width))) x += addend;
}

void Recipe::copy(std::int64_t first, std::int64_t count, std::byte* out) const {
  MEDLAR_ASSERT(can_copy());
  const auto bytes = static_cast<std::size_t>(row_bytes(type(), columns()));
  for (std::int64_t i = 0; i < count; ++i, out += bytes) {
    if (packed)
      packed->encode(place(first + i).second, out);
    else
      std::memcpy(out, row(first + i), bytes);
  }
}

}  // namespace medlar::huggingface
