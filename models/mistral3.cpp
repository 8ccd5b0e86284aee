// Ministral 3: Llama over long texts, by YaRN and a temperature of attention that grows with the logarithm of
// the position (Mistral AI 2025; Peng et al. 2023).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  float temperature = 0;  // 0: none

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    key("attention.temperature_scale", temperature, 0.0F);
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c);
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c);
  }
};

struct Mistral3 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "mistral3";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, cfg.rope_style());
    const ir::Temperature temperature{.beta = cfg.temperature, .length = cfg.rope.original_context};
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      q = rope(g, q);
      if (cfg.temperature != 0) q = ir::temperature(g, q, temperature);
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {q, rope(g, k), v}, {.scale = cfg.scale()})));
      x = ir::add(g, x, l.mlp(g, l.ffn_norm(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_mistral3(const Source& source) { return build_decoder<Mistral3>(source); }

}  // namespace medlar::models
