// Qwen2 with experts: Qwen2 whose MLP is a mixture of experts, beside one that every token uses as much as a
// gate of its own says (Yang et al. 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : MoeConfig {
  std::int64_t shared_ffn = 0;

  template <class Visitor>
  void visit(Visitor& key) {
    MoeConfig::visit(key);
    key("expert_shared_feed_forward_length", shared_ffn, Range{1, 1 << 22}, ffn);
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Moe moe;
  nn::GatedExpert shared;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::required});
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, moe, c);
    models::visit(tensor, shared, c.dim, c.shared_ffn);
  }
};

struct Qwen2Moe : Decoder<Layer, Config> {
  static constexpr std::string_view name = "qwen2moe";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {rope(g, q), rope(g, k), v}, {.scale = cfg.scale()})));
      const Value h = l.ffn_norm(g, x);
      x = ir::add(g, x, l.moe(g, h, {.used = cfg.experts_used, .normalize = false}));
      x = ir::add(g, x, l.shared(g, h));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_qwen2moe(const Source& source) { return build_decoder<Qwen2Moe>(source); }

}  // namespace medlar::models
