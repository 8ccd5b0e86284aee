// How a tensor of GGUF comes from published ones: rows of them in another order, and a number added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/safetensors.h"
#include "huggingface/packed.h"
#include "tensor/tensor.h"

namespace medlar::huggingface {

// Consecutive rows of a published tensor.
struct Piece {
  const safetensors::Tensor* tensor = nullptr;
  std::int64_t first = 0;
};

struct Recipe {
  std::string name;           // GGUF's
  Shape shape;                // GGUF's, outermost first
  std::vector<Piece> pieces;  // of as many rows each, one after the other
  std::int64_t heads = 0;     // > 0: of each head, rows i and i + half a head become rows 2i and 2i + 1
  float addend = 0;
  std::optional<Packed> packed;  // the piece is quantized
  std::vector<float> made;       // the values themselves, where there are no pieces

  // A vector or a router, which GGUF has as f32 whatever the matrices are.
  bool stays_f32() const;
  std::int64_t columns() const { return shape.rank() > 1 || heads == 0 ? shape.back() : 1; }
  std::int64_t rows() const { return shape.elements() / columns(); }
  // Of the published tensors; f32 for made ones; for packed ones the nearest.
  DType type() const;

  // The rows as they stand in the file, in the order of the pieces and without `heads`; nothing where they
  // are in several places or change their values.
  std::optional<std::span<const std::byte>> in_place() const;

  // Whether copy() gives the values of type() without loss.
  bool can_copy() const { return !pieces.empty() && addend == 0 && (!packed || packed->is_exact()); }
  // Rows [first, first + count) as floats, or as type(). The second is for recipes that can_copy().
  void decode(std::int64_t first, std::int64_t count, float* out) const;
  void copy(std::int64_t first, std::int64_t count, std::byte* out) const;

 private:
  // The published row that row `index` is: its piece, and its number there.
  std::pair<const safetensors::Tensor*, std::int64_t> place(std::int64_t index) const;
  const std::byte* row(std::int64_t index) const;
};

}  // namespace medlar::huggingface
