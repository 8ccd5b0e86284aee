// LFM2: most layers mix tokens by gated short convolutions, the others by grouped-query attention with norms
// of queries and keys (Liquid AI 2025).
#include "models/all.h"
#include "models/decoder.h"
#include "nn/recurrent.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  std::int64_t conv_width = 0, window = 0;
  std::vector<std::int64_t> kv_heads_of;  // by layer; 0: the layer convolves

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key, {.mixed = true});
    key("shortconv.l_cache", conv_width, Range{2, kernels::kMaxConvWidth});
    key("attention.sliding_window", window, Range{0, std::int64_t{1} << 32}, 0);
    key("attention.head_count_kv", kv_heads_of, layers, Range{0, heads});
  }
};

struct Layer {
  bool convolves = false;
  nn::RmsNorm attn_norm, q_norm, k_norm, ffn_norm;
  nn::GatedConv conv;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    convolves = c.kv_heads_of[tensor.layer()] == 0;
    tensor("attn_norm", attn_norm, c.dim);
    if (convolves) {
      tensor("shortconv.in_proj", {{conv.b, c.dim}, {conv.c, c.dim}, {conv.x, c.dim}}, c.dim);
      tensor.f32("shortconv.conv.weight", conv.conv.weight, {c.dim, c.conv_width});
      tensor("shortconv.out_proj", conv.o, c.dim, c.dim);
    } else {
      models::visit(tensor, attn, c);
      tensor("attn_q_norm", q_norm, c.head_dim);
      tensor("attn_k_norm", k_norm, c.head_dim);
    }
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c);
  }
};

struct Lfm2 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "lfm2";
  static constexpr std::string_view output_norm_name = "token_embd_norm";

  Value attend(Graph& g, const Layer& l, const nn::Rope& rope, Value h) const {
    const auto [q, k, v] = l.attn.project(g, h);
    const nn::Attend how{.window = cfg.window, .scale = cfg.scale()};
    return l.attn.o(g, nn::attend(g, {rope(g, l.q_norm(g, q)), rope(g, l.k_norm(g, k)), v}, how));
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const Value h = l.attn_norm(g, x);
      x = ir::add(g, x, l.convolves ? l.conv(g, h) : attend(g, l, rope, h));
      x = ir::add(g, x, l.mlp(g, l.ffn_norm(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_lfm2(const Source& source) { return build_decoder<Lfm2>(source); }

}  // namespace medlar::models
