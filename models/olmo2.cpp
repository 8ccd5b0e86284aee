// OLMo 2 and 3: norms behind attention and MLP instead of before, and of all queries and keys of a token
// together; OLMo 3 has three sliding-window layers to one global one, which alone is scaled by YaRN (OLMo
// Team 2025).
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
    tensor("attn_q_norm", q_norm, c.heads * c.head_dim);
    tensor("attn_k_norm", k_norm, c.kv_heads * c.head_dim);
    tensor("post_attention_norm", attn_post_norm, c.dim);
    models::visit(tensor, mlp, c);
    tensor("post_ffw_norm", ffn_post_norm, c.dim);
  }
};

struct Olmo2 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "olmo2";

  Value forward(Graph& g) const {
    const nn::Rope global_rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    const nn::Rope local_rope = nn::rope(g, cfg.rope.unscaled(), ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const nn::Rope& rope = cfg.window.at(i) ? local_rope : global_rope;
      const Value q = rope(g, nn::heads(g, l.q_norm(g, l.attn.q(g, x)), cfg.heads));
      const Value k = rope(g, nn::heads(g, l.k_norm(g, l.attn.k(g, x)), cfg.kv_heads));
      const Value v = nn::heads(g, l.attn.v(g, x), cfg.kv_heads);
      const Value y = nn::attend(g, {q, k, v}, {.window = cfg.window.of(i), .scale = cfg.scale()});
      x = ir::add(g, x, l.attn_post_norm(g, l.attn.o(g, y)));
      x = ir::add(g, x, l.ffn_post_norm(g, l.mlp(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_olmo2(const Source& source) { return build_decoder<Olmo2>(source); }

}  // namespace medlar::models
