// Granite 4: Mamba 2 in most layers and attention, in most files without positions, in the others; scales as
// in Granite 3, and an MLP, or experts with one beside them (IBM 2025).
#include "models/all.h"
#include "models/decoder.h"
#include "models/granite.h"
#include "models/recurrent.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : GraniteConfig {
  bool rotates = true;
  StateConfig state;
  std::vector<std::int64_t> kv_heads_of;  // by layer; 0: the layer is recurrent

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key, {.mixed = true});
    key("attention.head_count_kv", kv_heads_of, layers, Range{0, heads});
    visit_granite(key);
    key("rope.scaling.finetuned", rotates, true);
    state.visit(key);
  }
};

struct Layer {
  bool recurrent = false;
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Mamba2 mamba;
  nn::Attention attn;
  nn::Mlp mlp;  // beside experts the shared one
  nn::Moe moe;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    recurrent = c.kv_heads_of[tensor.layer()] == 0;
    tensor("attn_norm", attn_norm, c.dim);
    if (recurrent)
      models::visit(tensor, mamba, c.dim, c.state);
    else
      models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    tensor("ffn_norm", ffn_norm, c.dim);
    if (c.experts == 0) return models::visit(tensor, mlp, c, Bias::optional);
    models::visit(tensor, moe, c);
    if (c.shared_ffn > 0) visit_shared(tensor, mlp, c.dim, c.shared_ffn);
  }
};

struct GraniteHybrid : Decoder<Layer, Config> {
  static constexpr std::string_view name = "granitehybrid";

  Value attend(Graph& g, const Layer& l, const nn::Rope& rope, Value h) const {
    auto [q, k, v] = l.attn.project(g, h);
    if (cfg.rotates) q = rope(g, q), k = rope(g, k);
    return l.attn.o(g, nn::attend(g, {q, k, v}, {.scale = cfg.attention_scale}));
  }
  Value mlp(Graph& g, const Layer& l, Value h) const {
    if (cfg.experts == 0) return l.mlp(g, h);
    const Value y = l.moe(g, h, {.used = cfg.experts_used});
    return cfg.shared_ffn > 0 ? ir::add(g, y, l.mlp(g, h)) : y;
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::adjacent);
    Value x = embedding(g, cfg.embedding_scale);  // (tokens, dim)
    for (const Layer& l : layers) {
      const Value h = l.attn_norm(g, x), y = l.recurrent ? l.mamba(g, h) : attend(g, l, rope, h);
      x = ir::add(g, x, ir::scale(g, y, cfg.residual_scale));
      x = ir::add(g, x, ir::scale(g, mlp(g, l, l.ffn_norm(g, x)), cfg.residual_scale));
    }
    return ir::scale(g, logits(g, x), 1 / cfg.logit_scale);
  }
};

}  // namespace

Model build_granitehybrid(const Source& source) { return build_decoder<GraniteHybrid>(source); }

}  // namespace medlar::models
