// embed: rows of a table, chosen by the batch's token ids or positions.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"
#include "kernels/args.h"

namespace medlar::ir {

using kernels::EmbedBy;

struct Embed {  // inputs: table (rows, dim)
  static constexpr std::string_view name = "embed";
  float scale = 1;
  EmbedBy by = EmbedBy::token;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::weight && in[0].shape.rank() == 2, name,
           "one (rows, dim) weight");
    return ValueType::activations(RowCount::tokens, {in[0].shape[1]});
  }
  Cost cost(Inputs in) const { return {static_cast<double>(in[0].shape[1]), 0}; }
};

}  // namespace medlar::ir
