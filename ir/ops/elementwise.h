// Elementwise operations: binary (with a weight broadcast over rows), unary, and the gated activation.
#pragma once

#include <string_view>

#include "ir/ops/expect.h"
#include "ir/types.h"
#include "kernels/args.h"

namespace medlar::ir {

using kernels::Activation;
using kernels::BinaryOp;
using kernels::UnaryOp;

struct Binary {  // inputs: a (rows, ...), b like a, or a weight or table of a's width
  static constexpr std::string_view name = "binary";
  BinaryOp op = BinaryOp::add;

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].storage == Storage::rows, name, "two inputs");
    const bool same = in[1].storage == Storage::rows && in[1].rows == in[0].rows;
    const bool broadcast = in[1].storage == Storage::weight || in[1].storage == Storage::table;
    expect((same || broadcast) && in[1].dtype == DType::f32 && in[1].width() == in[0].width(), name,
           "equal widths");
    return in[0];
  }
  Cost cost(Inputs in) const { return {static_cast<double>(in[0].width()), 0}; }
};

struct Unary {  // inputs: x
  static constexpr std::string_view name = "unary";
  UnaryOp op = UnaryOp::scale;
  float parameter = 1;

  ValueType infer(Inputs in) const {
    expect(in.size() == 1 && in[0].storage == Storage::rows, name, "activations");
    return in[0];
  }
  Cost cost(Inputs in) const { return {8.0 * static_cast<double>(in[0].width()), 0}; }
};

struct Glu {  // inputs: gate, up: activation(gate) * up (Shazeer 2020)
  static constexpr std::string_view name = "glu";
  Activation activation = Activation::silu;

  ValueType infer(Inputs in) const {
    expect(in.size() == 2 && in[0].storage == Storage::rows && in[0] == in[1], name,
           "gate and up of one shape");
    return in[0];
  }
  Cost cost(Inputs in) const { return {10.0 * static_cast<double>(in[0].width()), 0}; }
};

}  // namespace medlar::ir
