// Llama: pre-norm decoder, grouped-query attention, SwiGLU (Touvron et al. 2023; Grattafiori et al. 2024);
// with experts it is Mixtral (Jiang et al. 2024).
#include <cmath>

#include "models/all.h"
#include "models/decoder.h"
#include "models/experts.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Llama {
  static constexpr std::string_view name = "llama";

  struct Config : MoeConfig {
    template <class Visitor>
    void visit(Visitor& key) {
      DecoderConfig::visit(key);
      key("expert_count", experts, Range{0, kMaxExperts}, 0);
      if (experts > 0) visit_expert(key);
    }
  };

  struct Layer {
    nn::RmsNorm attn_norm, ffn_norm;
    nn::Linear q, k, v, o, gate, up, down;
    nn::Moe moe;  // in place of gate, up and down

    template <class Visitor>
    void visit(Visitor& tensor, const Config& c) {
      tensor("attn_norm", attn_norm, c.dim);
      tensor("attn_q", q, c.heads * c.head_dim, c.dim, Bias::optional);
      tensor("attn_k", k, c.kv_heads * c.head_dim, c.dim, Bias::optional);
      tensor("attn_v", v, c.kv_heads * c.v_dim, c.dim, Bias::optional);
      tensor("attn_output", o, c.dim, c.heads * c.v_dim, Bias::optional);
      tensor("ffn_norm", ffn_norm, c.dim);
      if (c.experts > 0) return models::visit(tensor, moe, c);
      tensor("ffn_gate", gate, c.ffn, c.dim, Bias::optional);
      tensor("ffn_up", up, c.ffn, c.dim, Bias::optional);
      tensor("ffn_down", down, c.dim, c.ffn, Bias::optional);
    }
  };

  Config cfg;
  nn::Embedding embedding;
  nn::RmsNorm output_norm;
  nn::Linear output;
  std::vector<Layer> layers;

  template <class Visitor>
  void visit(Visitor& tensor) {
    tensor("token_embd", embedding, cfg.vocab, cfg.dim);
    tensor("output_norm", output_norm, cfg.dim);
    if (tensor.has("output"))
      tensor("output", output, cfg.vocab, cfg.dim);
    else
      output.weight = embedding.table;  // tied
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::adjacent);
    const float scale = 1 / std::sqrt(static_cast<float>(cfg.head_dim));
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const int layer = g.add_kv_layer({.heads = cfg.kv_heads, .k_dim = cfg.head_dim, .v_dim = cfg.v_dim});
      Value h = l.attn_norm(g, x);
      const Value q = rope(g, nn::heads(g, l.q(g, h), cfg.heads));
      const Value k = rope(g, nn::heads(g, l.k(g, h), cfg.kv_heads));
      const Value v = nn::heads(g, l.v(g, h), cfg.kv_heads);
      x = ir::add(g, x, l.o(g, nn::attend(g, q, k, v, {.layer = layer, .scale = scale})));
      h = l.ffn_norm(g, x);
      h = cfg.experts > 0 ? l.moe(g, h, {.used = cfg.experts_used, .normalize = true})
                          : l.down(g, nn::swiglu(g, l.gate(g, h), l.up(g, h)));
      x = ir::add(g, x, h);
    }
    return output(g, output_norm(g, ir::gather_rows(g, x)));
  }
};

}  // namespace

Model build_llama(const gguf::File& file) { return build_decoder<Llama>(file); }

}  // namespace medlar::models
