// The tensors of blocks that many architectures share.
#pragma once

#include <cstdint>

#include "models/config.h"
#include "models/weights.h"
#include "nn/blocks.h"
#include "nn/moe.h"

namespace medlar::models {

struct AttentionBias {
  Bias qkv = Bias::none, o = Bias::none;
};

template <class Visitor>
void visit(Visitor& tensor, nn::Attention& a, const DecoderConfig& c, AttentionBias bias = {}) {
  a.heads = c.heads, a.kv_heads = c.kv_heads;
  const std::int64_t q = c.heads * c.head_dim, k = c.kv_heads * c.head_dim, v = c.kv_heads * c.v_dim;
  tensor("attn_output", a.o, c.dim, c.heads * c.v_dim, bias.o);
  if (tensor.has("attn_qkv")) return tensor("attn_qkv", {{a.q, q}, {a.k, k}, {a.v, v}}, c.dim);
  tensor("attn_q", a.q, q, c.dim, bias.qkv);
  tensor("attn_k", a.k, k, c.dim, bias.qkv);
  tensor("attn_v", a.v, v, c.dim, bias.qkv);
}

template <class Visitor>
void visit(Visitor& tensor, nn::Mlp& mlp, const DecoderConfig& c, Bias bias = Bias::none) {
  tensor("ffn_gate", mlp.gate, c.ffn, c.dim, bias);
  tensor("ffn_up", mlp.up, c.ffn, c.dim, bias);
  tensor("ffn_down", mlp.down, c.dim, c.ffn, bias);
}

// An MLP beside experts, which every token uses.
template <class Visitor>
void visit_shared(Visitor& tensor, nn::Mlp& mlp, std::int64_t dim, std::int64_t ffn) {
  tensor("ffn_gate_shexp", mlp.gate, ffn, dim);
  tensor("ffn_up_shexp", mlp.up, ffn, dim);
  tensor("ffn_down_shexp", mlp.down, dim, ffn);
}

struct MoeConfig : DecoderConfig {
  std::int64_t experts = 0, experts_used = 0, expert_ffn = 0;
  static constexpr std::int64_t kMaxExperts = 4096;

  template <class Visitor>
  void visit(Visitor& key) {
    DecoderConfig::visit(key);
    key("expert_count", experts, Range{1, kMaxExperts});
    visit_expert(key);
  }
  // What follows where there are experts.
  template <class Visitor>
  void visit_expert(Visitor& key) {
    key("expert_used_count", experts_used, Range{1, experts});
    key("expert_feed_forward_length", expert_ffn, Range{1, 1 << 22}, ffn);
  }
};

template <class Visitor>
void visit(Visitor& tensor, nn::Moe& moe, const MoeConfig& c, Bias bias = Bias::none) {
  tensor("ffn_gate_inp", moe.router, c.experts, c.dim, bias);
  tensor("ffn_gate_exps", moe.gate, c.experts, c.expert_ffn, c.dim, bias);
  tensor("ffn_up_exps", moe.up, c.experts, c.expert_ffn, c.dim, bias);
  tensor("ffn_down_exps", moe.down, c.experts, c.dim, c.expert_ffn, bias);
}

// The file has its matrices as those of an MLP.
template <class Visitor>
void visit(Visitor& tensor, nn::GatedExpert& e, std::int64_t dim, std::int64_t ffn) {
  tensor.reshaped("ffn_gate_inp_shexp", e.weight.weight, {dim}, {1, dim});
  tensor.reshaped("ffn_gate_shexp", e.gate.weight, {ffn, dim}, {1, ffn, dim});
  tensor.reshaped("ffn_up_shexp", e.up.weight, {ffn, dim}, {1, ffn, dim});
  tensor.reshaped("ffn_down_shexp", e.down.weight, {dim, ffn}, {1, dim, ffn});
}

}  // namespace medlar::models
