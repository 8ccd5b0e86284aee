// Qwen3 with experts: Qwen3 whose MLP is a mixture of experts, the weights of those chosen adding up to 1
// (Yang et al. 2025).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Layer {
  nn::RmsNorm attn_norm, q_norm, k_norm, ffn_norm;
  nn::Attention attn;
  nn::Moe moe;

  template <class Visitor>
  void visit(Visitor& tensor, const MoeConfig& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c);
    tensor("attn_q_norm", q_norm, c.head_dim);
    tensor("attn_k_norm", k_norm, c.head_dim);
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, moe, c);
  }
};

struct Qwen3Moe : Decoder<Layer, MoeConfig> {
  static constexpr std::string_view name = "qwen3moe";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      q = rope(g, l.q_norm(g, q));
      k = rope(g, l.k_norm(g, k));
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {q, k, v}, {.scale = cfg.scale()})));
      x = ir::add(g, x, l.moe(g, l.ffn_norm(g, x), {.used = cfg.experts_used}));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_qwen3moe(const Source& source) { return build_decoder<Qwen3Moe>(source); }

}  // namespace medlar::models
