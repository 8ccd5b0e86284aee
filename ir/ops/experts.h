// Mixture of experts: which experts a row uses, and the sum of their gated MLPs (Shazeer et al. 2017).
#pragma once

#include <cstdint>
#include <string_view>

#include "formats/all.h"
#include "ir/ops/elementwise.h"
#include "ir/ops/expect.h"
#include "ir/types.h"

namespace medlar::ir {

using kernels::RouteScore;

// Of a row's scores the `used` best, 0 for others (kernels/args.h: RouteArgs).
struct Route {  // inputs: logits (rows, experts), and maybe a bias (experts) f32 that only chooses
  static constexpr std::string_view name = "route";
  std::int64_t used = 1;
  bool normalize = true;
  RouteScore score = RouteScore::softmax;
  float scale = 1;
  std::int64_t groups = 1, groups_used = 1, group_best = 1;

  ValueType infer(Inputs in) const {
    expect((in.size() == 1 || in.size() == 2) && in[0].storage == Storage::rows && in[0].shape.rank() == 1,
           name, "(rows, experts)");
    const std::int64_t experts = in[0].width();
    expect(in.size() == 1 || (in[1].dtype == DType::f32 && in[1].shape == Shape{experts}), name,
           "an f32 bias for each expert");
    expect(used >= 1 && used <= experts, name, "from one expert to all of them");
    expect(groups >= 1 && experts % groups == 0 && groups_used >= 1 && groups_used <= groups &&
               group_best >= 1 && group_best <= experts / groups && used <= groups_used * (experts / groups),
           name, "groups of equally many experts, and enough of them");
    return in[0];
  }
  Cost cost(Inputs in) const { return {10.0 * static_cast<double>(in[0].width()), 0}; }
};

// The sum over experts e of weights[e] * down_e (activation(gate_e x) * (up_e x)). At most `used` weights of
// a row are not 0, and only the matrices of those experts are read.
// inputs: x (rows, dim), weights (rows, experts), gate and up (experts, ffn, dim), down (experts, dim, ffn),
// and maybe the biases of these three, (experts, ffn) twice and (experts, dim), f32
struct Experts {
  static constexpr std::string_view name = "experts";
  std::int64_t used = 1;
  Activation activation = Activation::silu;

  ValueType infer(Inputs in) const {
    expect((in.size() == 5 || in.size() == 8) && in[0].storage == Storage::rows && in[0].shape.rank() == 1,
           name, "(rows, dim)");
    expect(in[1].storage == Storage::rows && in[1].rows == in[0].rows && in[1].shape.rank() == 1, name,
           "weights (rows, experts)");
    for (const ValueType& matrices : in.subspan(2, 3))
      expect(matrices.storage == Storage::weight && matrices.shape.rank() == 3, name, "stacked matrices");
    const std::int64_t experts = in[1].width(), dim = in[0].width(), ffn = in[2].shape[1];
    expect(in[2].shape == Shape{experts, ffn, dim} && in[3].shape == in[2].shape &&
               in[4].shape == Shape{experts, dim, ffn},
           name, "gate and up (experts, ffn, dim) and down (experts, dim, ffn)");
    for (std::size_t i = 5; i < in.size(); ++i)
      expect(in[i].dtype == DType::f32 && in[i].shape == Shape{experts, in[i - 3].shape[1]}, name,
             "an f32 bias for each output of an expert");
    expect(used >= 1 && used <= experts, name, "from one expert to all of them");
    return in[0];
  }
  // Of a batch of one row; a larger one reads more experts.
  Cost cost(Inputs in) const {
    Cost cost;
    for (const ValueType& matrices : in.subspan(2, 3)) {
      const double rows = static_cast<double>(used * matrices.shape[1]);
      cost.flops_per_row += 2 * rows * static_cast<double>(matrices.shape[2]);
      cost.weight_bytes += rows * static_cast<double>(row_bytes(matrices.dtype, matrices.shape[2]));
    }
    return cost;
  }
};

}  // namespace medlar::ir
