// Phi-3 and Phi-4: pre-norm decoder with one tensor for q, k and v and one for gate and up; LongRoPE, whose
// divisors of each frequency depend on how long a text may become (Abdin et al. 2024; Ding et al. 2024).
#include "models/all.h"
#include "models/decoder.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  std::int64_t window = 0;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    key("attention.sliding_window", window, Range{0, std::int64_t{1} << 32}, 0);
    if (window >= context) window = 0;
  }
};

struct Layer {
  nn::RmsNorm attn_norm, ffn_norm;
  nn::Attention attn;
  nn::Mlp mlp;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    attn.heads = c.heads, attn.kv_heads = c.kv_heads;
    tensor("attn_norm", attn_norm, c.dim);
    tensor(
        "attn_qkv",
        {{attn.q, c.heads * c.head_dim}, {attn.k, c.kv_heads * c.head_dim}, {attn.v, c.kv_heads * c.v_dim}},
        c.dim);
    tensor("attn_output", attn.o, c.dim, c.heads * c.v_dim);
    tensor("ffn_norm", ffn_norm, c.dim);
    tensor("ffn_up", {{mlp.gate, c.ffn}, {mlp.up, c.ffn}}, c.dim);
    tensor("ffn_down", mlp.down, c.dim, c.ffn);
  }
};

struct Phi3 : Decoder<Layer, Config> {
  static constexpr std::string_view name = "phi3";

  template <class Visitor>
  void visit(Visitor& tensor, std::string_view norm) {
    Decoder::visit(tensor, norm);
    const bool is_long = cfg.wanted_context > cfg.rope.original_context;
    cfg.rope.divisors = tensor.values(is_long ? "rope_factors_long" : "rope_factors_short");
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) {
      const auto [q, k, v] = l.attn.project(g, l.attn_norm(g, x));
      const Value y =
          nn::attend(g, {rope(g, q), rope(g, k), v}, {.window = cfg.window, .scale = cfg.scale()});
      x = ir::add(g, x, l.attn.o(g, y));
      x = ir::add(g, x, l.mlp(g, l.ffn_norm(g, x)));
    }
    return logits(g, x);
  }
};

}  // namespace

Model build_phi3(const Source& source) { return build_decoder<Phi3>(source); }

}  // namespace medlar::models
