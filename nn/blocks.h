// Blocks that models are written with. They only emit graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/build.h"

namespace medlar::nn {

using ir::Graph;
using ir::Value;

// What an adapter adds to a product: scale * up (down x) (Hu et al. 2021).
struct LowRank {
  Value down, up;  // (rank, in), (out, rank)
  float scale = 1;
};

struct Linear {
  Value weight, bias;  // (out, in); bias may be none
  std::vector<LowRank> adapters;
  Value operator()(Graph& g, Value x) const {
    Value y = ir::linear(g, x, weight, bias);
    for (const LowRank& a : adapters)
      if (a.scale != 0)
        y = ir::add(g, y, ir::linear(g, ir::scale(g, ir::linear(g, x, a.down), a.scale), a.up));
    return y;
  }
};

struct RmsNorm {
  Value weight;
  float eps = 0;
  Value operator()(Graph& g, Value x) const { return ir::rms_norm(g, x, weight, eps); }
};

struct LayerNorm {
  Value weight, bias;  // bias may be none
  float eps = 0;
  Value operator()(Graph& g, Value x) const { return ir::layer_norm(g, x, weight, bias, eps); }
};

struct Embedding {
  Value table;  // (vocab, dim)
  Value operator()(Graph& g, float scale = 1) const { return ir::embed(g, table, scale); }
};

// A gated MLP: down(act(gate x) * up x), SwiGLU unless it says otherwise (Shazeer 2020).
struct Mlp {
  Linear gate, up, down;
  Value operator()(Graph& g, Value x, ir::Activation activation = ir::Activation::silu) const {
    return down(g, ir::glu(g, activation, gate(g, x), up(g, x)));
  }
};

// (tokens, n * d) as (tokens, n, d).
inline Value heads(Graph& g, Value x, std::int64_t n) {
  return ir::reshape(g, x, {n, g[x].type.width() / n});
}

// What attention projects to and from: `heads` queries share `kv_heads` keys and values (Ainslie et al.
// 2023).
struct Attention {
  Linear q, k, v, o;
  std::int64_t heads = 0, kv_heads = 0;

  struct Heads {
    Value q, k, v;  // (tokens, heads, dim), (tokens, kv_heads, dim) twice
  };
  Heads project(Graph& g, Value x) const {
    return {nn::heads(g, q(g, x), heads), nn::heads(g, k(g, x), kv_heads), nn::heads(g, v(g, x), kv_heads)};
  }
};

// How positions beyond the trained context are squeezed in.
enum class RopeScaling : std::uint8_t {
  none,
  linear,  // positions divided by the factor (Chen et al. 2023)
  yarn,    // per frequency, with a magnitude (Peng et al. 2023)
};

struct RopeConfig {
  std::int64_t dim = 0;  // values rotated in a head
  float theta = 10000;
  RopeScaling scaling = RopeScaling::none;
  float factor = 1;
  std::int64_t original_context = 0;  // yarn
  float attention_factor = 1;         // multiplies sine and cosine, on top of yarn's own magnitude
  // Of yarn: between how many turns over the trained context a frequency is interpolated in part, in whole
  // dimensions where `truncate`; its magnitude, where it is not what the paper has; and how much of it is
  // taken back (DeepSeek-AI 2024: mscale_all_dim).
  float beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  float magnitude = 0;
  float log_multiplier = 0;
  std::span<const float> divisors;  // (dim / 2) each frequency is divided by its own (llama 3), or empty

  // The same dimensions and base over positions as they are.
  RopeConfig unscaled() const { return {.dim = dim, .theta = theta}; }
};

struct Rope {
  Value inv_freq;
  ir::Rope how;
  Value operator()(Graph& g, Value x) const { return ir::rope(g, x, inv_freq, how); }
};

Rope rope(Graph& g, const RopeConfig& config, ir::RopeStyle style);

// The frequencies that rope() makes a table of: theta^(-2i/dim), scaled. Shape (dim / 2).
std::vector<float> rope_frequencies(const RopeConfig& config);

struct Attend {
  std::int64_t window = 0;  // tokens that a query sees, itself included; 0: all
  float scale = 1;
  float softcap = 0;  // 0: none
  Value sinks = {};   // (heads) logits that take probability and give nothing (Xiao et al. 2023), or none
  bool causal = true;
};

// Writes k and v to the cache of a new layer and attends with q: (tokens, heads, dim) -> (tokens, heads *
// dim).
Value attend(Graph& g, const Attention::Heads& x, const Attend& how);

// The same where values are the first v_dim values of keys (tokens, width), of one head for all queries:
// (tokens, heads, width) -> (tokens, heads, v_dim).
Value attend_latent(Graph& g, Value q, Value keys, const Attend& how, std::int64_t v_dim);

}  // namespace medlar::nn
