// Blocks whose memory of a sequence has a fixed size.
#pragma once

#include <cstdint>

#include "nn/blocks.h"

namespace medlar::nn {

// A causal convolution of each channel by itself.
struct ShortConv {
  Value weight, bias;  // (channels, width), (channels); bias may be none

  // Values of its state.
  std::int64_t state(const Graph& g) const {
    const Shape& s = g[weight].type.shape;
    return s[0] * (s[1] - 1);
  }
  Value operator()(Graph& g, Value x, const ir::ShortConv& how) const {
    return ir::short_conv(g, x, weight, bias, how);
  }
};

// c * conv(b * x) with b, c and x projected from the input (Hasani et al. 2025, LFM2): (tokens, dim) ->
// (tokens, dim).
struct GatedConv {
  Linear b, c, x, o;
  ShortConv conv;
  Value operator()(Graph& g, Value h) const;
};

// Linear attention whose state is corrected towards what it should have answered (Yang et al. 2025, gated
// delta networks): heads of queries and keys, each for several heads of values. (tokens, dim) -> (tokens,
// dim).
struct DeltaNet {
  Linear qkv, gate, o;  // queries, keys and values together; what gates the result
  Linear alpha, beta;   // how much fades, and how much is written: (heads, dim)
  Linear beta_alpha;    // or both in one: for each key head the betas of its heads, then their alphas
  ShortConv conv;
  RmsNorm norm;      // of each head
  Value rate, bias;  // (heads)
  std::int64_t heads = 0, key_heads = 0, key_dim = 0, value_dim = 0;
  bool interleaved = false;  // head h has key head h % key_heads; else h / (heads / key_heads)
  Value operator()(Graph& g, Value h) const;
};

// A selective state space (Dao & Gu 2024, Mamba 2): (tokens, dim) -> (tokens, dim).
struct Mamba2 {
  Linear gate, x_b_c, dt, o;  // inputs, and in groups of heads the rows that write to and read from states
  ShortConv conv;
  Value rate, bias, skip;  // (heads)
  Value norm;              // (heads * value_dim), over each group by itself
  float eps = 0;
  std::int64_t heads = 0, groups = 0, key_dim = 0, value_dim = 0;
  Value operator()(Graph& g, Value h) const;
};

}  // namespace medlar::nn
