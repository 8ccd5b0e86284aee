// Blocks that models are written with. They only emit graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/build.h"

namespace medlar::nn {

using ir::Graph;
using ir::Value;

struct Linear {
  Value weight, bias;  // (out, in); bias may be none
  Value operator()(Graph& g, Value x) const { return ir::linear(g, x, weight, bias); }
};

struct RmsNorm {
  Value weight;
  float eps = 0;
  Value operator()(Graph& g, Value x) const { return ir::rms_norm(g, x, weight, eps); }
};

struct Embedding {
  Value table;  // (vocab, dim)
  Value operator()(Graph& g, float scale = 1) const { return ir::embed(g, table, scale); }
};

// (tokens, n * d) as (tokens, n, d).
inline Value heads(Graph& g, Value x, std::int64_t n) {
  return ir::reshape(g, x, {n, g[x].type.width() / n});
}

inline Value swiglu(Graph& g, Value gate, Value up) { return ir::glu(g, ir::Activation::silu, gate, up); }
inline Value geglu(Graph& g, Value gate, Value up) { return ir::glu(g, ir::Activation::gelu, gate, up); }

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
  float attention_factor = 1;         // yarn, on top of its own magnitude
  float beta_fast = 32, beta_slow = 1;
  std::span<const float> divisors;  // (dim / 2) each frequency is divided by its own (llama 3), or empty
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
  int layer = 0;  // from Graph::add_kv_layer
  float scale = 1;
  float softcap = 0;  // 0: none
};

// Writes k and v to the layer's cache and attends with q: (tokens, heads, dim) -> (tokens, heads * dim).
Value attend(Graph& g, Value q, Value k, Value v, const Attend& how);

}  // namespace medlar::nn
