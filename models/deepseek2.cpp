// DeepSeek V2 and V3, GLM-4.7 Flash: latent attention, whose keys and values are projections of one short
// vector a token, and which is computed on these vectors themselves; experts chosen by groups, some that
// every token uses, and leading layers without (DeepSeek-AI 2024).
#include "models/all.h"
#include "models/decoder.h"
#include "models/latent_attention.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : MoeConfig {
  LatentDims latent;
  std::int64_t shared = 0, groups = 0, groups_used = 0, unused_layers = 0, score = 0;
  bool normalize = false;
  float weights_scale = 1;

  template <class Visitor>
  void visit(Visitor& key) {
    MoeConfig::visit(key);
    key("nextn_predict_layers", unused_layers, Range{0, layers - 1}, 0);
    layers -= unused_layers;
    latent.visit(key, *this);
    key("expert_shared_count", shared, Range{1, 1 << 10});
    key("expert_group_count", groups, Range{1, experts}, 1);
    key("expert_group_used_count", groups_used, Range{1, groups}, groups);
    key("expert_gating_func", score, Range{1, 2}, 0);
    key("expert_weights_scale", weights_scale, 1.0F);
    key("expert_weights_norm", normalize, false);
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  LatentAttention attn;
  nn::Mlp mlp;  // beside experts the shared ones
  nn::Moe moe;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    attn.visit(tensor, c, c.latent);
    tensor("ffn_norm", ffn_norm, c.dim);
    if (!tensor.has("ffn_gate_inp")) return models::visit(tensor, mlp, c);
    models::visit(tensor, moe, c);
    if (tensor.has_bias("exp_probs_b")) tensor("exp_probs_b.bias", moe.choice_bias, {c.experts});
    visit_shared(tensor, mlp, c.dim, c.shared * c.expert_ffn);
  }
};

struct DeepSeek2 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "deepseek2";

  Value experts(Graph& g, const Layer& l, Value h) const {
    // Files that do not say: the bias came with the sigmoid.
    const bool sigmoid = cfg.score == 2 || (cfg.score == 0 && l.moe.choice_bias);
    return l.moe(g, h,
                 {.used = cfg.experts_used,
                  .normalize = cfg.normalize,
                  .score = sigmoid ? ir::RouteScore::sigmoid : ir::RouteScore::softmax,
                  .scale = cfg.weights_scale,
                  .groups = cfg.groups,
                  .groups_used = cfg.groups_used,
                  .group_best = sigmoid && cfg.experts / cfg.groups > 1 ? 2 : 1});
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::adjacent);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      x = ir::add(g, x, l.attn(g, l.attn_norm(g, x), rope, cfg.latent));
      const Value h = l.ffn_norm(g, x);
      if (l.moe.router.weight) x = ir::add(g, x, experts(g, l, h));
      x = ir::add(g, x, l.mlp(g, h));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_deepseek2(const Source& source) { return build_decoder<DeepSeek2>(source); }

}  // namespace medlar::models
