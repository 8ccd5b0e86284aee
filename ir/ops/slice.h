// slice: neighbouring values of the last dimension.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct SliceOf {  // inputs: x (rows, dim) or (rows, per_row, dim)
  static constexpr std::string_view name = "slice";
  std::int64_t begin = 0, width = 0;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::rows && in[0].shape.rank() <= 2, name,
           "(rows, dim) or (rows, per_row, dim)");
    expect(begin >= 0 && width >= 1 && begin <= in[0].shape.back() - width, name, "a part of the dimension");
    return ValueType::activations(in[0].rows,
                                  in[0].shape.rank() == 1 ? Shape{width} : Shape{in[0].shape[0], width});
  }
  Cost cost(Inputs) const { return {}; }
};

}  // namespace medlar::ir
