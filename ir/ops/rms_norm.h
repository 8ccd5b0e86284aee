// rms_norm: x / sqrt(mean(x^2) + eps) * weight over the last dimension (Zhang & Sennrich 2019).
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct RmsNorm {  // inputs: x (rows, ..., dim), weight (dim)
  static constexpr std::string_view name = "rms_norm";
  float eps = 0;

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].storage == Storage::rows, name, "activations and a weight");
    expect(in[1].dtype == DType::f32 && in[1].shape == Shape{in[0].shape.back()}, name,
           "an f32 weight of the row's width");
    return in[0];
  }
  Cost cost(Inputs in) const { return {4.0 * static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
