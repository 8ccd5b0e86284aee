// temperature: queries grow by the logarithm of how often their position is beyond a trained length.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Temperature {  // inputs: x (tokens, ...)
  static constexpr std::string_view name = "temperature";
  float beta = 0;
  std::int64_t length = 1;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::rows && in[0].rows == RowCount::tokens, name,
           "tokens");
    expect(length >= 1, name, "a length of at least one token");
    return in[0];
  }
  Cost cost(Inputs in) const { return {static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
