// linear: y = x W^T + b, with W as stored in the file: (out, in).
#pragma once

#include <string_view>

#include "formats/all.h"
#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct Linear {  // inputs: x (rows, in), weight (out, in), and maybe bias (out) f32
  static constexpr std::string_view name = "linear";

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 || in.size() == 3, name, "x, a weight and perhaps a bias");
    expect(in[0].storage == Storage::rows && in[1].storage == Storage::weight && in[1].shape.rank() == 2 &&
               in[1].shape[1] == in[0].width(),
           name, "a weight as wide as its input");
    expect(in.size() == 2 || (in[2].dtype == DType::f32 && in[2].shape == Shape{in[1].shape[0]}), name,
           "an f32 bias as long as its output");
    return ValueType::activations(in[0].rows, {in[1].shape[0]});
  }
  Cost cost(Inputs in) const {
    const double elements = static_cast<double>(in[1].shape.elements());
    return {2 * elements, static_cast<double>(row_bytes(in[1].dtype, in[1].shape[1]) * in[1].shape[0])};
  }
};

}  // namespace medlar::ir
