// Gemma 3 (text): norms before and after each block, per-head q/k norm, GeGLU, five sliding-window layers to
// one global layer, each kind with its own rope base (Gemma Team 2025).
#include <cmath>

#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  SlidingWindow window;
  float local_theta = 10000;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    window.visit(key, layers, 6);
    key("rope.freq_base_swa", local_theta, 10000.0F);
  }
  // The 27B model scales queries by its width per head, the others by the head itself.
  float query_scale() const {
    return 1 / std::sqrt(static_cast<float>(layers == 62 ? dim / heads : head_dim));
  }
};

struct Layer {
  nn::RmsNorm attn_norm, q_norm, k_norm, attn_post_norm, ffn_norm, ffn_post_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c);
    tensor("attn_q_norm", q_norm, c.head_dim);
    tensor("attn_k_norm", k_norm, c.head_dim);
    tensor("post_attention_norm", attn_post_norm, c.dim);
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c);
    tensor("post_ffw_norm", ffn_post_norm, c.dim);
  }
};

template <class C>
struct Gemma3 : Decoder<Layer, Config> {
  static constexpr std::string_view name = C::name;
  static constexpr bool encoder = C::encoder;

  // Of an encoder, half of the file's window lies on either side.
  std::int64_t window(std::size_t layer) const {
    const std::int64_t tokens = cfg.window.of(layer);
    return C::encoder && tokens > 0 ? tokens / 2 + 1 : tokens;
  }

  Value forward(Graph& g) const {
    const nn::Rope global_rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    const nn::Rope local_rope =
        nn::rope(g, {.dim = cfg.rope.dim, .theta = cfg.local_theta}, ir::RopeStyle::halves);
    Value x = embedding(g, std::sqrt(static_cast<float>(cfg.dim)));  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const nn::Rope& rope = cfg.window.at(i) ? local_rope : global_rope;
      auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      q = rope(g, l.q_norm(g, q));
      k = rope(g, l.k_norm(g, k));
      const Value y =
          nn::attend(g, {q, k, v}, {.window = window(i), .scale = cfg.query_scale(), .causal = !C::encoder});
      x = ir::add(g, x, l.attn_post_norm(g, l.attn.o(g, y)));
      const Value h = l.mlp(g, l.ffn_norm(g, x), ir::Activation::gelu);
      x = ir::add(g, x, l.ffn_post_norm(g, h));
    }
    return C::encoder ? output_norm(g, ir::gather_rows(g, x)) : logits(g, x);
  }
};

struct Writing {
  static constexpr std::string_view name = "gemma3";
  static constexpr bool encoder = false;
};
struct Embedding {
  static constexpr std::string_view name = "gemma-embedding";
  static constexpr bool encoder = true;
};

}  // namespace

Model build_gemma_embedding(const Source& source) { return build_decoder<Gemma3<Embedding>>(source); }
Model build_gemma3(const Source& source) { return build_decoder<Gemma3<Writing>>(source); }

}  // namespace medlar::models
