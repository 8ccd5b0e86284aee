// Nemotron-H: layers of one block each, which is Mamba 2, an MLP with squared ReLU (So et al. 2021), or
// attention without positions (NVIDIA 2025).
#include "models/all.h"
#include "models/decoder.h"
#include "models/recurrent.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : DecoderConfig {
  StateConfig state;
  std::vector<std::int64_t> kv_heads_of, ffn_of;  // by layer; both 0: the layer is recurrent

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderKeys keys{.mixed = true};
    if (!key.has(keys.epsilon)) keys.epsilon = "attention.layer_norm_epsilon";
    DecoderConfig::visit(key, keys);
    key("attention.head_count_kv", kv_heads_of, layers, Range{0, heads});
    key("feed_forward_length", ffn_of, layers, Range{0, 1 << 22});
    state.visit(key);
  }
};

struct Layer {
  nn::RmsNorm norm;
  nn::Mamba2 mamba;
  nn::Attention attn;
  nn::Linear up, down;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    tensor("attn_norm", norm, c.dim);
    if (const std::int64_t ffn = c.ffn_of[tensor.layer()]; ffn > 0) {
      tensor("ffn_up", up, ffn, c.dim, Bias::optional);
      tensor("ffn_down", down, c.dim, ffn, Bias::optional);
    } else if (c.kv_heads_of[tensor.layer()] > 0) {
      models::visit(tensor, attn, c, {.qkv = Bias::optional, .o = Bias::optional});
    } else {
      models::visit(tensor, mamba, c.dim, c.state);
    }
  }
};

struct NemotronH : Decoder<Layer, Config> {
  static constexpr std::string_view name = "nemotron_h";

  Value block(Graph& g, const Layer& l, Value h) const {
    if (l.up.weight) return l.down(g, ir::relu_squared(g, l.up(g, h)));
    if (l.mamba.o.weight) return l.mamba(g, h);
    const auto [q, k, v] = l.attn.project(g, h);
    return l.attn.o(g, nn::attend(g, {q, k, v}, {.scale = cfg.scale()}));
  }

  Value forward(Graph& g) const {
    Value x = embedding(g);  // (tokens, dim)
    for (const Layer& l : layers) x = ir::add(g, x, block(g, l, l.norm(g, x)));
    return logits(g, x);
  }
};

}  // namespace

Model build_nemotron_h(const Source& source) { return build_decoder<NemotronH>(source); }

}  // namespace medlar::models
