// gather_rows: the rows of the batch whose logits are wanted.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct GatherRows {  // inputs: x (tokens, width)
  static constexpr std::string_view name = "gather_rows";

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::rows && in[0].rows == RowCount::tokens, name,
           "(tokens, width)");
    return ValueType::activations(RowCount::logit_rows, in[0].shape);
  }
  Cost cost(Inputs) const { return {}; }
};

}  // namespace medlar::ir
