// Granite 3: Llama whose embedding, residuals, attention and logits are scaled by numbers of its own; with
// experts it is Granite MoE, where a shared MLP may run beside them (Granite Team 2024).
#include "models/granite.h"

#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : GraniteConfig {
  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    visit_granite(key);
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Mlp mlp;  // beside experts the shared one
  nn::Moe moe;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    tensor("ffn_norm", ffn_norm, c.dim);
    if (c.experts == 0) return models::visit(tensor, mlp, c, Bias::optional);
    models::visit(tensor, moe, c);
    if (c.shared_ffn > 0) visit_shared(tensor, mlp, c.dim, c.shared_ffn);
  }
};

template <class C>
struct Granite : Decoder<Layer, Config> {
  static constexpr std::string_view name = C::name;

  Value mlp(Graph& g, const Layer& l, Value h) const {
    if (cfg.experts == 0) return l.mlp(g, h);
    const Value y = l.moe(g, h, {.used = cfg.experts_used});
    return cfg.shared_ffn > 0 ? ir::add(g, y, l.mlp(g, h)) : y;
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, cfg.rope_style());
    Value x = embedding(g, cfg.embedding_scale);  // (tokens, dim)
    for (const Layer& l : layers) {
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      const Value y = nn::attend(g, {rope(g, q), rope(g, k), v}, {.scale = cfg.attention_scale});
      x = ir::add(g, x, ir::scale(g, l.attn.o(g, y), cfg.residual_scale));
      x = ir::add(g, x, ir::scale(g, mlp(g, l, l.ffn_norm(g, x)), cfg.residual_scale));
    }
    return ir::scale(g, logits(g, x), 1 / cfg.logit_scale);
  }
};

struct Dense {
  static constexpr std::string_view name = "granite";
};
struct WithExperts {
  static constexpr std::string_view name = "granitemoe";
};

}  // namespace

Model build_granitemoe(const Source& source) { return build_decoder<Granite<WithExperts>>(source); }
Model build_granite(const Source& source) { return build_decoder<Granite<Dense>>(source); }

}  // namespace medlar::models
