// Mixtures of experts: an MLP of which each token uses a few of many copies.
#pragma once

#include "nn/blocks.h"

namespace medlar::nn {

struct LinearStack {
  Value weight;  // (count, out, in)
  Value bias;    // (count, out), or none
};

// x -> sum over the `used` experts with the largest router logits of their weight times down(act(gate x) up
// x) (Shazeer et al. 2017; Fedus et al. 2022).
struct Moe {
  Linear router;               // (experts, dim)
  Value choice_bias;           // (experts), which only chooses (Wang et al. 2024), or none
  LinearStack gate, up, down;  // (experts, ffn, dim) twice, (experts, dim, ffn)

  // (rows, dim) -> (rows, dim)
  Value operator()(Graph& g, Value x, const ir::Route& how,
                   ir::Activation activation = ir::Activation::silu) const;
};

// An expert that every row uses, as much as a sigmoid says (Yang et al. 2024): a mixture of one.
struct GatedExpert {
  Linear weight;               // (1, dim)
  LinearStack gate, up, down;  // (1, ffn, dim) twice, (1, dim, ffn)

  // (rows, dim) -> (rows, dim)
  Value operator()(Graph& g, Value x) const;
};

}  // namespace medlar::nn
