// Gemma 3 (text): norms before and after each block, per-head q/k norm, GeGLU, five sliding-window layers to
// one global layer, each kind with its own rope base (Gemma Team 2025).
#include <cmath>

#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Gemma3 {
  static constexpr std::string_view name = "gemma3";

  struct Config : DecoderConfig {
    std::int64_t window = 0, pattern = 6;  // every `pattern`th layer is global
    float local_theta = 10000;

    template <class Visitor>
    void visit(Visitor& key) {
      DecoderConfig::visit(key);
      key("attention.sliding_window", window, Range{1, std::int64_t{1} << 32});
      key("attention.sliding_window_pattern", pattern, Range{1, 1024}, 6);
      key("rope.freq_base_swa", local_theta, 10000.0F);
    }
    bool global(std::size_t layer) const { return static_cast<std::int64_t>(layer + 1) % pattern == 0; }
    // The 27B model scales queries by its width per head, the others by the head itself.
    float query_scale() const {
      return 1 / std::sqrt(static_cast<float>(layers == 62 ? dim / heads : head_dim));
    }
  };

  struct Layer {
    nn::RmsNorm attn_norm, q_norm, k_norm, attn_post_norm, ffn_norm, ffn_post_norm;
    nn::Linear q, k, v, o, gate, up, down;

    template <class Visitor>
    void visit(Visitor& tensor, const Config& c) {
      tensor("attn_norm", attn_norm, c.dim);
      tensor("attn_q", q, c.heads * c.head_dim, c.dim);
      tensor("attn_k", k, c.kv_heads * c.head_dim, c.dim);
      tensor("attn_v", v, c.kv_heads * c.v_dim, c.dim);
      tensor("attn_q_norm", q_norm, c.head_dim);
      tensor("attn_k_norm", k_norm, c.head_dim);
      tensor("attn_output", o, c.dim, c.heads * c.v_dim);
      tensor("post_attention_norm", attn_post_norm, c.dim);
      tensor("ffn_norm", ffn_norm, c.dim);
      tensor("ffn_gate", gate, c.ffn, c.dim);
      tensor("ffn_up", up, c.ffn, c.dim);
      tensor("ffn_down", down, c.dim, c.ffn);
      tensor("post_ffw_norm", ffn_post_norm, c.dim);
    }
  };

  Config cfg;
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
    const nn::Rope global_rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    const nn::Rope local_rope =
        nn::rope(g, {.dim = cfg.rope.dim, .theta = cfg.local_theta}, ir::RopeStyle::halves);
    Value x = embedding(g, std::sqrt(static_cast<float>(cfg.dim)));  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const nn::Rope& rope = cfg.global(i) ? global_rope : local_rope;
      const int layer = g.add_kv_layer({.heads = cfg.kv_heads,
                                        .k_dim = cfg.head_dim,
                                        .v_dim = cfg.v_dim,
                                        .window = cfg.global(i) ? 0 : cfg.window});
      Value h = l.attn_norm(g, x);
      const Value q = rope(g, l.q_norm(g, nn::heads(g, l.q(g, h), cfg.heads)));
      const Value k = rope(g, l.k_norm(g, nn::heads(g, l.k(g, h), cfg.kv_heads)));
      const Value v = nn::heads(g, l.v(g, h), cfg.kv_heads);
      h = l.o(g, nn::attend(g, q, k, v, {.layer = layer, .scale = cfg.query_scale()}));
      x = ir::add(g, x, l.attn_post_norm(g, h));
      h = l.ffn_norm(g, x);
      h = l.down(g, nn::geglu(g, l.gate(g, h), l.up(g, h)));
      x = ir::add(g, x, l.ffn_post_norm(g, h));
    }
    return output(g, output_norm(g, ir::gather_rows(g, x)));
  }
};

}  // namespace

Model build_gemma3(const gguf::File& file) { return build_decoder<Gemma3>(file); }

}  // namespace medlar::models
