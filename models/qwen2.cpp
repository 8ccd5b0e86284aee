// Qwen2: pre-norm decoder, grouped-query attention with biases on q, k and v, SwiGLU (Yang et al. 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const DecoderConfig& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::required});
    tensor("ffn_norm", ffn_norm, c.dim);
    models::visit(tensor, mlp, c);
  }
};

struct Qwen2 : Decoder<Layer> {
  static constexpr std::string_view name = "qwen2";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      q = rope(g, q);
      k = rope(g, k);
      x = ir::add(g, x, l.attn.o(g, nn::attend(g, {q, k, v}, {.scale = cfg.scale()})));
      x = ir::add(g, x, l.mlp(g, l.ffn_norm(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_qwen2(const Source& source) { return build_decoder<Qwen2>(source); }

}  // namespace medlar::models
