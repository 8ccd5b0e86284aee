// reshape: another shape for the same row of numbers; never copies.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Reshape {  // inputs: x
  static constexpr std::string_view name = "reshape";
  Shape shape;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::rows && in[0].width() == shape.elements(), name,
           "as many elements");
    return ValueType::activations(in[0].rows, shape);
  }
  Cost cost(Inputs) const { return {}; }
};

}  // namespace medlar::ir
