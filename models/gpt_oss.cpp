// gpt-oss: experts with biases and a clamped gate, attention with a sink for each head, every second layer
// over a sliding window, YaRN (OpenAI 2025; Xiao et al. 2023).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : MoeConfig {
  SlidingWindow window;

  template <class Visitor>
  void visit(Visitor& key) {
    MoeConfig::visit(key);
    window.visit(key, layers, 2);
    rope.truncate = false;
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  Value sinks;  // (heads)
  nn::Moe moe;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::required, .o = Bias::required});
    tensor("attn_sinks.weight", sinks, {c.heads});
    tensor("post_attention_norm", ffn_norm, c.dim);
    models::visit(tensor, moe, c, Bias::required);
  }
};

struct GptOss : Decoder<Layer, Config> {
  static constexpr std::string_view name = "gpt-oss";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      const Value y = nn::attend(g, {rope(g, q), rope(g, k), v},
                                 {.window = cfg.window.of(i), .scale = cfg.scale(), .sinks = l.sinks});
      x = ir::add(g, x, l.attn.o(g, y));
      x = ir::add(g, x, l.moe(g, l.ffn_norm(g, x), {.used = cfg.experts_used}, ir::Activation::clamped_silu));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_gpt_oss(const Source& source) { return build_decoder<GptOss>(source); }

}  // namespace medlar::models
