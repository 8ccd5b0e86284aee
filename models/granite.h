// What files of Granite's models say beside every decoder's hyperparameters: four scales, experts or none,
// and a shared MLP (IBM 2024).
#pragma once

#include "models/blocks.h"

namespace medlar::models {

struct GraniteConfig : MoeConfig {
  std::int64_t shared_ffn = 0;  // 0: no shared MLP
  float embedding_scale = 1, residual_scale = 1, attention_scale = 1, logit_scale = 1;

  template <class Visitor>
  void visit_granite(Visitor& key) {
    key("expert_count", experts, Range{0, kMaxExperts}, 0);
    if (experts > 0) visit_expert(key);
    key("expert_shared_feed_forward_length", shared_ffn, Range{0, 1 << 22}, 0);
    key("embedding_scale", embedding_scale, 1.0F);
    key("residual_scale", residual_scale, 1.0F);
    key("attention.scale", attention_scale, scale());
    key("logit_scale", logit_scale, 1.0F);
  }
};

}  // namespace medlar::models
