// GLM-4 (0414): norms before and after each block, rotation of half a head, one tensor for gate and up (GLM
// Team 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Layer {
  nn::RmsNorm attn_norm, attn_post_norm, ffn_norm, ffn_post_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const DecoderConfig& c) {
    tensor("attn_norm", attn_norm, c.dim);
    models::visit(tensor, attn, c, {.qkv = Bias::optional});
    tensor("post_attention_norm", attn_post_norm, c.dim);
    tensor("ffn_norm", ffn_norm, c.dim);
    tensor("ffn_up", {{mlp.gate, c.ffn}, {mlp.up, c.ffn}}, c.dim);
    tensor("ffn_down", mlp.down, c.dim, c.ffn);
    tensor("post_ffw_norm", ffn_post_norm, c.dim);
  }
};

struct Glm4 : Decoder<Layer> {
  static constexpr std::string_view name = "glm4";

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::adjacent);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      const Value y = nn::attend(g, {rope(g, q), rope(g, k), v}, {.scale = cfg.scale()});
      x = ir::add(g, x, l.attn_post_norm(g, l.attn.o(g, y)));
      x = ir::add(g, x, l.ffn_post_norm(g, l.mlp(g, l.ffn_norm(g, x))));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_glm4(const Source& source) { return build_decoder<Glm4>(source); }

}  // namespace medlar::models
