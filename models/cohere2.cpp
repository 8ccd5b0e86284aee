// Command R7B and Command A: LayerNorm, attention and MLP side by side, three sliding-window layers that
// rotate to one global one that does not, scaled logits (Cohere 2025).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  SlidingWindow window;
  float logit_scale = 1;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key, {.epsilon = "attention.layer_norm_epsilon"});
    window.visit(key, layers, 4);
    key("logit_scale", logit_scale, 1.0F);
  }
};

struct Layer {
  nn::LayerNorm norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", norm, c.dim);
    models::visit(tensor, attn, c);
    models::visit(tensor, mlp, c);
  }
};

struct Cohere2 : Decoder<Layer, Config, nn::LayerNorm> {
  static constexpr std::string_view name = "cohere2";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::adjacent);
    Value x = embedding(g);  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const Value h = l.norm(g, x);
      auto [q, k, v] = l.attn.project(g, h);
      if (cfg.window.at(i)) q = rope(g, q), k = rope(g, k);
      const Value y = nn::attend(g, {q, k, v}, {.window = cfg.window.of(i), .scale = cfg.scale()});
      x = ir::add(g, x, l.attn.o(g, y));
      x = ir::add(g, x, l.mlp(g, h));
    }
    return ir::scale(g, logits(g, x), cfg.logit_scale);
  }
};

}  // namespace

Model build_cohere2(const Source& source) { return build_decoder<Cohere2>(source); }

}  // namespace medlar::models
