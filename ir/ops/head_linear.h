// head_linear: a matrix of its own for each head, for its first values; the others pass through.
#pragma once

#include <string_view>

#include "formats/all.h"
#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct HeadLinear {  // inputs: x (rows, heads, k + rest), weight (heads, n, k): (rows, heads, n + rest)
  static constexpr std::string_view name = "head_linear";

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].storage == Storage::rows && in[0].shape.rank() == 2, name,
           "(rows, heads, head_dim)");
    expect(in[1].storage == Storage::weight && in[1].shape.rank() == 3 && in[1].shape[0] == in[0].shape[0] &&
               in[1].shape[2] <= in[0].shape[1],
           name, "a matrix for each head, at most as wide");
    const std::int64_t rest = in[0].shape[1] - in[1].shape[2];
    return ValueType::activations(in[0].rows, {in[0].shape[0], in[1].shape[1] + rest});
  }
  Cost cost(Inputs in) const {
    const double outputs = static_cast<double>(in[1].shape[0] * in[1].shape[1]);
    return {2 * outputs * static_cast<double>(in[1].shape[2]),
            outputs * static_cast<double>(row_bytes(in[1].dtype, in[1].shape[2]))};
  }
};

}  // namespace medlar::ir
