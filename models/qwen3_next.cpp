// Qwen3-Next and Qwen 3.5: three layers of gated delta networks for each of attention, whose result is gated
// and which rotates a part of its heads (Qwen Team 2025).
#include "models/all.h"
#include "models/decoder.h"
#include "models/recurrent.h"

namespace medlar::models {
namespace {

using ir::Graph;
using ir::Value;

struct Config : MoeConfig {
  std::int64_t shared_ffn = 0, predicting = 0;
  StateConfig state;
  std::vector<bool> recurrent;  // by layer

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key, {.mixed = true});
    key("expert_count", experts, Range{0, kMaxExperts}, 0);
    if (experts > 0) {
      visit_expert(key);
      key("expert_shared_feed_forward_length", shared_ffn, Range{1, 1 << 22}, ffn);
    }
    state.visit(key);
    const bool listed = key.has("attention.recurrent_layers");
    key(listed ? "attention.recurrent_layers" : "full_attention_interval", recurrent, layers, 4);
    // The last layers guess further tokens; the model's result is without them.
    key("nextn_predict_layers", predicting, Range{0, layers - 1}, 0);
    layers -= predicting;
  }
};

struct Layer {
  bool recurrent = false;
  nn::RmsNorm attn_norm, q_norm, k_norm, ffn_norm;
  nn::DeltaNet delta;
  nn::Linear q_gate, k, v, o;
  nn::Mlp mlp;
  nn::Moe moe;
  nn::GatedExpert shared;

  template <class Visitor>
  void visit(Visitor& tensor, const Config& c) {
    recurrent = c.recurrent[tensor.layer()];
    tensor("attn_norm", attn_norm, c.dim);
    if (recurrent) {
      models::visit(tensor, delta, c.dim, c.state);
    } else {
      tensor("attn_q", q_gate, 2 * c.heads * c.head_dim, c.dim);  // of each head a query and a gate
      tensor("attn_k", k, c.kv_heads * c.head_dim, c.dim);
      tensor("attn_v", v, c.kv_heads * c.head_dim, c.dim);
      tensor("attn_output", o, c.dim, c.heads * c.head_dim);
      tensor("attn_q_norm", q_norm, c.head_dim);
      tensor("attn_k_norm", k_norm, c.head_dim);
    }
    tensor("post_attention_norm", ffn_norm, c.dim);
    if (c.experts == 0) return models::visit(tensor, mlp, c);
    models::visit(tensor, moe, c);
    models::visit(tensor, shared, c.dim, c.shared_ffn);
  }
};

template <class A>
struct Qwen3Next : Decoder<Layer, Config> {
  static constexpr std::string_view name = A::name;

  Value attend(Graph& g, const Layer& l, const nn::Rope& rope, Value h) const {
    const Value both = nn::heads(g, l.q_gate(g, h), cfg.heads);
    const Value gate = ir::sigmoid(g, ir::slice(g, both, cfg.head_dim, cfg.head_dim));
    const Value q = rope(g, l.q_norm(g, ir::slice(g, both, 0, cfg.head_dim)));
    const Value k = rope(g, l.k_norm(g, nn::heads(g, l.k(g, h), cfg.kv_heads)));
    const Value v = nn::heads(g, l.v(g, h), cfg.kv_heads);
    const Value y = nn::attend(g, {q, k, v}, {.scale = cfg.scale()});
    return l.o(g, ir::mul(g, y, ir::reshape(g, gate, {cfg.heads * cfg.head_dim})));
  }

  Value forward(Graph& g) const {
    const nn::Rope rope = nn::rope(g, cfg.rope, ir::RopeStyle::halves);
    Value x = embedding(g);  // (tokens, dim)
    for (Layer l : layers) {
      l.delta.interleaved = A::interleaved;
      const Value h = l.attn_norm(g, x);
      x = ir::add(g, x, l.recurrent ? l.delta(g, h) : attend(g, l, rope, h));
      const Value n = l.ffn_norm(g, x);
      x = ir::add(g, x, cfg.experts > 0 ? l.moe(g, n, {.used = cfg.experts_used}) : l.mlp(g, n));
      if (cfg.experts > 0) x = ir::add(g, x, l.shared(g, n));
    }
    return logits(g, x);
  }
};

// How files order heads of values: those of a key head side by side, or one of each key head in turn.
struct Next {
  static constexpr std::string_view name = "qwen3next";
  static constexpr bool interleaved = false;
};
struct Dense35 {
  static constexpr std::string_view name = "qwen35";
  static constexpr bool interleaved = true;
};
struct Experts35 {
  static constexpr std::string_view name = "qwen35moe";
  static constexpr bool interleaved = true;
};

}  // namespace

Model build_qwen3next(const Source& source) { return build_decoder<Qwen3Next<Next>>(source); }
Model build_qwen35(const Source& source) { return build_decoder<Qwen3Next<Dense35>>(source); }
Model build_qwen35moe(const Source& source) { return build_decoder<Qwen3Next<Experts35>>(source); }

}  // namespace medlar::models
