// SmolLM3: Llama in which every fourth layer knows no positions (Bakouch et al. 2025; Yang et al. 2025,
// NoPE).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

constexpr std::size_t kWithoutRope = 4;

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const DecoderConfig& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c, Bias::optional);
  }
};

struct SmolLm3 : Decoder<Layer> {
  static constexpr std::string_view name = "smollm3";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, cfg.rope_style());
    Value x = embedding(g);  // (tokens, dim)
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const Layer& l = layers[i];
      auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      if ((i + 1) % kWithoutRope != 0) q = rope(g, q), k = rope(g, k);
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {q, k, v}, {.scale = cfg.scale()})));
      x = ir::add(g, x, l.mlp(g, l.ffn_norm(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_smollm3(const Source& source) { return build_decoder<SmolLm3>(source); }

}  // namespace medlar::models
