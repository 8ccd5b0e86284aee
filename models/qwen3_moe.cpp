// Qwen3 with experts: Qwen3 whose MLP is a mixture of experts, the weights of those chosen adding up to 1
// (Yang et al. 2025).
#include <cmath>

#include "models/all.h"
#include "models/decoder.h"
#include "models/experts.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Qwen3Moe {
  static constexpr std::string_view name = "qwen3moe";

  struct Layer {
    nn::RmsNorm attn_norm, q_norm, k_norm, ffn_norm;
    nn::Linear q, k, v, o;
    nn::Moe moe;

    template <class Visitor>
    void visit(Visitor& tensor, const MoeConfig& c) {
      tensor("attn_norm", attn_norm, c.dim);
      tensor("attn_q", q, c.heads * c.head_dim, c.dim);
      tensor("attn_k", k, c.kv_heads * c.head_dim, c.dim);
      tensor("attn_v", v, c.kv_heads * c.v_dim, c.dim);
      tensor("attn_q_norm", q_norm, c.head_dim);
      tensor("attn_k_norm", k_norm, c.head_dim);
      tensor("attn_output", o, c.dim, c.heads * c.v_dim);
      tensor("ffn_norm", ffn_norm, c.dim);
      models::visit(tensor, moe, c);
    }
  };

  MoeConfig cfg;
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
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    const float scale = 1 / std::sqrt(static_cast<float>(cfg.head_dim));
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const int layer = g.add_kv_layer({.heads = cfg.kv_heads, .k_dim = cfg.head_dim, .v_dim = cfg.v_dim});
      Value h = l.attn_norm(g, x);
      const Value q = rope(g, l.q_norm(g, nn::heads(g, l.q(g, h), cfg.heads)));
      const Value k = rope(g, l.k_norm(g, nn::heads(g, l.k(g, h), cfg.kv_heads)));
      const Value v = nn::heads(g, l.v(g, h), cfg.kv_heads);
      x = ir::add(g, x, l.o(g, nn::attend(g, q, k, v, {.layer = layer, .scale = scale})));
      h = l.ffn_norm(g, x);
      x = ir::add(g, x, l.moe(g, h, {.used = cfg.experts_used, .normalize = true}));
    }
    return output(g, output_norm(g, ir::gather_rows(g, x)));
  }
};

}  // namespace

Model build_qwen3_moe(const gguf::File& file) { return build_decoder<Qwen3Moe>(file); }

}  // namespace medlar::models
