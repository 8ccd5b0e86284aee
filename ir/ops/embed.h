// embed: rows of a table, chosen by the batch's token ids.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Embed {  // inputs: table (vocab, dim)
  static constexpr std::string_view name = "embed";
  float scale = 1;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::weight && in[0].shape.rank() == 2, name,
           "one (vocab, dim) weight");
    return ValueType::activations(RowCount::tokens, {in[0].shape[1]});
  }
  Cost cost(Inputs in) const { return {static_cast<double>(in[0].shape[1]), 0}; }
};

}  // namespace medlar::ir
