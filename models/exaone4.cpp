// EXAONE 4: norms behind attention and MLP instead of before, per-head q/k norm, three sliding-window layers
// to one global one; where layers slide, only those rotate (LG AI Research 2025).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  SlidingWindow window;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    window.visit(key, layers, 4, /*optional=*/true);
  }
};

struct Layer {
  nn::RmsNorm q_norm, k_norm, attn_post_norm, ffn_post_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    models::visit(tensor, attn, c);
    tensor("attn_q_norm", q_norm, c.head_dim);
    tensor("attn_k_norm", k_norm, c.head_dim);
    tensor("post_attention_norm", attn_post_norm, c.dim);
    models::visit(tensor, mlp, c);
    tensor("post_ffw_norm", ffn_post_norm, c.dim);
  }
};

struct Exaone4 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "exaone4";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      auto [q, k, v] = l.attn.project(g, x);
      q = l.q_norm(g, q);
      k = l.k_norm(g, k);
      if (cfg.window.at(i) || cfg.window.tokens == 0) q = rope(g, q), k = rope(g, k);
      const Value y = nn::attend(g, {q, k, v}, {.window = cfg.window.of(i), .scale = cfg.scale()});
      x = ir::add(g, x, l.attn_post_norm(g, l.attn.o(g, y)));
      x = ir::add(g, x, l.ffn_post_norm(g, l.mlp(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_exaone4(const Source& source) { return build_decoder<Exaone4>(source); }

}  // namespace medlar::models
