// Keys that all families have, as config.json gives them under one name or another.
#include "base/error.h"
#include "huggingface/families.h"

namespace medlar::huggingface {

void set_common_keys(const Config& c, const Family& family, Keys& keys) {
  const auto integer = [&](std::string_view key, Config::Names names) {
    if (const auto value = c.integer(names)) keys.integer(key, *value);
  };
  keys.integer("block_count", c.need_integer({"num_hidden_layers", "n_layers", "n_layer"}));
  keys.integer("context_length", c.need_integer({"max_position_embeddings", "n_positions", "max_length"}));
  keys.integer("embedding_length", c.need_integer({"hidden_size"}));
  keys.integer("feed_forward_length", c.need_integer({"intermediate_size"}));
  keys.integer("attention.head_count", c.need_integer({"num_attention_heads"}));
  keys.integer("attention.head_count_kv", c.need_integer({"num_key_value_heads", "num_attention_heads"}));
  if (c.has("head_dim")) {
    keys.integer("attention.key_length", head_dim(c));
    keys.integer("attention.value_length", head_dim(c));
  }
  if (const auto eps = c.real({"rms_norm_eps"})) keys.real("attention.layer_norm_rms_epsilon", *eps);
  if (const auto eps = c.real({"layer_norm_eps"})) keys.real("attention.layer_norm_epsilon", *eps);
  integer("expert_count", {"num_local_experts", "num_experts"});
  integer("expert_used_count", {"num_experts_per_tok"});
  set_rope_keys(c, keys);
  if (family.keys) family.keys(c, keys);
}

}  // namespace medlar::huggingface
