// The hyperparameters and tensors of a mixture of experts, which several architectures share.
#pragma once

#include <cstdint>

#include "models/config.h"
#include "nn/moe.h"

namespace medlar::models {

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
void visit(Visitor& tensor, nn::Moe& moe, const MoeConfig& c) {
  tensor("ffn_gate_inp", moe.router, c.experts, c.dim);
  tensor("ffn_gate_exps", moe.gate, c.experts, c.expert_ffn, c.dim);
  tensor("ffn_up_exps", moe.up, c.experts, c.expert_ffn, c.dim);
  tensor("ffn_down_exps", moe.down, c.experts, c.dim, c.expert_ffn);
}

}  // namespace medlar::models
