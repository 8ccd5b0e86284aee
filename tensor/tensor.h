// What bytes mean: shapes and views. Views copy; the owner is elsewhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/assert.h"
#include "formats/dtype.h"

namespace medlar {

inline constexpr int kMaxDims = 4;

// Extents, outermost first; the last one is contiguous in memory: (tokens, heads, head_dim).
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) {
    MEDLAR_ASSERT(dims.size() <= kMaxDims);
    for (std::int64_t d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
  }
  explicit Shape(std::span<const std::int64_t> dims) {
    MEDLAR_ASSERT(dims.size() <= kMaxDims);
    for (std::int64_t d : dims) dims_[static_cast<std::size_t>(rank_++)] = d;
  }

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t back() const { return rank_ ? dims_[static_cast<std::size_t>(rank_ - 1)] : 1; }
  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
  std::int64_t elements() const {
    std::int64_t n = 1;
    for (std::int64_t d : dims()) n *= d;
    return n;
  }
  // Rows of the last dimension.
  std::int64_t rows() const { return back() ? elements() / back() : 0; }

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxDims> dims_{};
  int rank_ = 0;
};

// Bytes somewhere (usually in a mapped file) and what they mean.
struct TensorView {
  DType type = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;
};

}  // namespace medlar
