// layer_norm: rows with mean 0 and variance 1, times a weight, plus a bias (Ba et al. 2016).
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

struct LayerNorm {  // inputs: x (rows, dim), weight (dim), and maybe bias (dim)
  static constexpr std::string_view name = "layer_norm";
  float eps = 0;

  ValueType infer(Inputs in) const {
    expect((in.size() == 2 || in.size() == 3) && in[0].storage == Storage::rows && in[0].shape.rank() == 1,
           name, "rows, a weight and perhaps a bias");
    for (const ValueType& factor : in.subspan(1))
      expect(factor.dtype == DType::f32 && factor.shape == in[0].shape, name,
             "f32 weights of the row's width");
    return in[0];
  }
  Cost cost(Inputs in) const { return {7.0 * static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
