// Gemma 2: norms before and after each block, GeGLU, every second layer over a sliding window, and soft caps
// on the logits of attention and of the head (Gemma Team 2024).
#include <cmath>

#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  SlidingWindow window;
  float attention_cap = 50, final_cap = 30;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    window.visit(key, layers, 2);
    key("attn_logit_softcapping", attention_cap, 50.0F);
    key("final_logit_softcapping", final_cap, 30.0F);
  }
  // The 27B model scales queries by its width per head, the others by the head itself.
  float query_scale() const {
    return 1 / std::sqrt(static_cast<float>(layers == 46 ? dim / heads : head_dim));
  }
};

struct Layer {
  nn::RmsNorm attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c);
    tensor("post_attention_norm", attn_post_norm, c.dim);
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c);
    tensor("post_ffw_norm", ffn_post_norm, c.dim);
  }
};

struct Gemma2 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "gemma2";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g, std::sqrt(static_cast<float>(cfg.dim)));  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      const Value y =
          nn::attend(g, {rope(g, q), rope(g, k), v},
                     {.window = cfg.window.of(i), .scale = cfg.query_scale(), .softcap = cfg.attention_cap});
      x = ir::add(g, x, l.attn_post_norm(g, l.attn.o(g, y)));
      const Value h = l.mlp(g, l.ffn_norm(g, x), ir::Activation::gelu);
      x = ir::add(g, x, l.ffn_post_norm(g, h));
    }
    return ir::softcap(g, logits(g, x), cfg.final_cap);
  }
};

}  // namespace

Model build_gemma2(const Source& source) { return build_decoder<Gemma2>(source); }

}  // namespace medlar::models
