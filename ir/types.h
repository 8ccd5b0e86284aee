// The types of graph values.
#pragma once

#include <cstdint>
#include <span>

#include "formats/dtype.h"
#include "kernels/step.h"
#include "tensor/tensor.h"

namespace medlar::ir {

using kernels::RowCount;

// A node's result. Only meaningful together with the graph that made it.
struct Value {
  std::int32_t id = -1;
  explicit operator bool() const { return id >= 0; }
  friend bool operator==(Value, Value) = default;
};

enum class Storage : std::uint8_t {
  rows,    // f32 activations: one `shape` for each row of the batch
  weight,  // a tensor of the model's file
  table,   // constants computed when the graph is built, f32
  state,   // a layer's keys or values in the cache, after a write
};

// What a value is. Activations have a symbolic leading dimension (`rows`) and a fixed shape for each row:
// (rows = tokens, shape = {heads, head_dim}) is a (T, heads, head_dim) array.
struct ValueType {
  Storage storage = Storage::rows;
  RowCount rows = RowCount::one;
  DType dtype = DType::f32;
  Shape shape;

  static ValueType activations(RowCount rows, Shape shape) {
    return {Storage::rows, rows, DType::f32, shape};
  }
  std::int64_t width() const { return shape.elements(); }
  friend bool operator==(const ValueType&, const ValueType&) = default;
};

// What one row of an operation costs: arithmetic, and bytes of weights read once for the whole batch.
struct Cost {
  double flops_per_row = 0;
  double weight_bytes = 0;
};

using Inputs = std::span<const ValueType>;

}  // namespace medlar::ir
