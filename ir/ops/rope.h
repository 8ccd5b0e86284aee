// rope: rotary position embedding (Su et al. 2021) of each head, by the token's position.
#pragma once

#include <cstdint>
#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"
#include "kernels/args.h"

namespace medlar::ir {

using kernels::RopeStyle;

struct Rope {  // inputs: x (tokens, heads, head_dim), table of inverse frequencies (rope_dim / 2)
  static constexpr std::string_view name = "rope";
  RopeStyle style = RopeStyle::adjacent;
  float magnitude = 1;     // YaRN's factor on sine and cosine
  std::int64_t first = 0;  // value of a head that is rotated

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].rows == RowCount::tokens && in[0].shape.rank() == 2, name,
           "(tokens, heads, head_dim)");
    expect(in[1].storage == Storage::table && first >= 0 && first + 2 * in[1].width() <= in[0].shape.back(),
           name, "frequencies for at most a head");
    return in[0];
  }
  Cost cost(Inputs in) const { return {6.0 * static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
