// concat: two vectors, one behind the other.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Concat {  // inputs: a (rows, n), b (rows, m): (rows, n + m)
  static constexpr std::string_view name = "concat";

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].storage == Storage::rows && in[1].storage == Storage::rows &&
               in[0].rows == in[1].rows,
           name, "activations of the same rows");
    return ValueType::activations(in[0].rows, {in[0].width() + in[1].width()});
  }
  Cost cost(Inputs in) const { return {static_cast<double>(in[0].width() + in[1].width()), 0}; }
};

}  // namespace medlar::ir
