// Latent attention: what a token's keys and values are made of is one short vector for all heads, which is
// what the cache keeps. Attention is computed on these vectors: what would make keys of them is applied to
// queries, what would make values of them to the result (DeepSeek-AI 2024).
#pragma once

#include <cmath>
#include <cstdint>

#include "models/config.h"
#include "models/weights.h"
#include "nn/blocks.h"

namespace medlar::models {

struct LatentDims {
  std::int64_t heads = 0;
  std::int64_t q_rank = 0, kv_rank = 0;     // of the latent vectors; 0: queries have none
  std::int64_t plain_dim = 0, out_dim = 0;  // of a head: what is not rotated, and its values
  float scale = 1;

  // Where YaRN's magnitude belongs to attention instead of the rotation, `config` is changed so.
  template <class Visitor>
  void visit(Visitor& key, DecoderConfig& config) {
    nn::RopeConfig& rope = config.rope;
    heads = config.heads;
    key("attention.q_lora_rank", q_rank, Range{0, 1 << 20}, 0);
    key("attention.kv_lora_rank", kv_rank, Range{1, 1 << 14});
    std::int64_t head = 0;
    key("attention.key_length_mla", head, Range{rope.dim + 1, 1 << 14});
    plain_dim = head - rope.dim;
    key("attention.value_length_mla", out_dim, Range{1, 1 << 14});
    scale = 1 / std::sqrt(static_cast<float>(head));
    if (rope.scaling != nn::RopeScaling::yarn || rope.log_multiplier == 0) return;
    const float stretch = rope.log_multiplier * std::log(rope.factor) + 1;
    scale *= stretch * stretch;
    rope.magnitude = 1;
  }
};

using ir::Graph;
using ir::Value;

// Queries (plain, rotated) and keys (latent, rotated); `absorb` and `expand` are what makes keys and values
// of a latent vector, one for each head.
struct LatentAttention {
  nn::Linear q, q_a, q_b, latent, rotated, o;
  nn::RmsNorm q_norm, latent_norm;
  Value absorb, expand;  // (heads, kv_rank, plain_dim), (heads, out_dim, kv_rank)

  template <class Visitor>
  void visit(Visitor& tensor, const DecoderConfig& c, const LatentDims& d) {
    const std::int64_t q_rows = c.heads * (d.plain_dim + c.rope.dim);
    if (d.q_rank > 0) {
      tensor("attn_q_a", q_a, d.q_rank, c.dim);
      tensor("attn_q_a_norm", q_norm, d.q_rank);
      tensor("attn_q_b", q_b, q_rows, d.q_rank);
    } else {
      tensor("attn_q", q, q_rows, c.dim);
    }
    tensor("attn_kv_a_mqa", {{latent, d.kv_rank}, {rotated, c.rope.dim}}, c.dim);
    tensor("attn_kv_a_norm", latent_norm, d.kv_rank);
    tensor.matrices("attn_k_b", absorb, {c.heads, d.kv_rank, d.plain_dim});
    tensor.matrices("attn_v_b", expand, {c.heads, d.out_dim, d.kv_rank});
    tensor("attn_output", o, c.dim, c.heads * d.out_dim);
  }

  Value operator()(Graph& g, Value h, nn::Rope rope, const LatentDims& d) const {
    Value k = ir::concat(g, latent_norm(g, latent(g, h)), rope(g, nn::heads(g, rotated(g, h), 1)));
    Value x = nn::heads(g, d.q_rank > 0 ? q_b(g, q_norm(g, q_a(g, h))) : q(g, h), d.heads);
    rope.how.first = d.plain_dim;
    x = ir::head_linear(g, rope(g, x), absorb);  // (tokens, heads, kv_rank + rope dim)
    const Value y = nn::attend_latent(g, x, k, {.scale = d.scale}, d.kv_rank);
    return o(g, ir::reshape(g, ir::head_linear(g, y, expand), {d.heads * d.out_dim}));
  }
};

}  // namespace medlar::models
