// Llama: pre-norm decoder, grouped-query attention, SwiGLU (Touvron et al. 2023; Grattafiori et al. 2024);
// with experts it is Mixtral (Jiang et al. 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

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
  nn::Attention attn;
  nn::Mlp mlp;
  nn::Moe moe;  // in place of the MLP

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    tensor("ffn_norm", ffn_norm, c.dim);
    if (c.experts > 0)
      models::visit(tensor, moe, c);
    else
      models::visit(tensor, mlp, c, Bias::optional);
  }
};

struct Llama : Decoder<Layer, Config> {
  static constexpr std::string_view name = "llama";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, cfg.rope_style());
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {rope(g, q), rope(g, k), v}, {.scale = cfg.scale()})));
      const Value h = l.ffn_norm(g, x);
      x = ir::add(g, x, cfg.experts > 0 ? l.moe(g, h, {.used = cfg.experts_used}) : l.mlp(g, h));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_llama(const Source& source) { return build_decoder<Llama>(source); }

}  // namespace medlar::models
