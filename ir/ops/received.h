// received: rows that the program of an earlier part of the model has made (ir/cut.h).
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Received {  // no inputs
  static constexpr std::string_view name = "received";
  ValueType type;

  ValueType infer(Inputs in) const {
    expect(in.empty() && type.storage == Storage::rows, name, "rows, and no input");
    return type;
  }
  Cost cost(Inputs) const { return {}; }
};

}  // namespace medlar::ir
