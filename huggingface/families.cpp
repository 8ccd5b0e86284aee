#include "huggingface/families.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <memory>

#include "base/error.h"
#include "base/log.h"

namespace medlar::huggingface {
namespace {

namespace json = boost::json;

// Norms after each block as well as before it.
constexpr Renaming kPostNorms[] = {
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
};
constexpr Renaming kGlmNorms[] = {
    {"post_self_attn_layernorm", "post_attention_norm"},
    {"post_mlp_layernorm", "post_ffw_norm"},
};

void vocabulary(const Config& c, Keys& keys) { keys.integer("vocab_size", c.need_integer({"vocab_size"})); }

void window(const Config& c, Keys& keys) {
  keys.integer("attention.sliding_window", c.need_integer({"sliding_window"}));
}

// Which layers slide: as layer_types says, or all but every nth.
void window_pattern(const Config& c, Keys& keys, std::int64_t period) {
  const std::vector<std::string> types = c.texts("layer_types");
  std::vector<bool> slides;
  for (const std::string& type : types) slides.push_back(type == "sliding_attention");
  if (types.empty())
    for (std::int64_t i = 1; i <= c.need_integer({"num_hidden_layers"}); ++i)
      slides.push_back(i % period != 0);
  keys.flags("attention.sliding_window_pattern", slides);
}

void llama(const Config& c, Keys& keys) {
  vocabulary(c, keys);
  keys.integer("rope.dimension_count", head_dim(c));
}

void granite(const Config& c, Keys& keys) {
  llama(c, keys);
  const auto scale = [&](std::string_view field, std::string_view key) {
    if (const auto value = c.real({field}); value && *value != 0) keys.real(key, *value);
  };
  scale("attention_multiplier", "attention.scale");
  scale("embedding_multiplier", "embedding_scale");
  scale("residual_multiplier", "residual_scale");
  scale("logits_scaling", "logit_scale");
  if (const auto ffn = c.integer({"shared_intermediate_size"}); ffn && *ffn > 0)
    keys.integer("expert_shared_feed_forward_length", *ffn);
}

void ministral(const Config& c, Keys& keys) {
  llama(c, keys);
  if (c.text("model_type") != "ministral3") return;
  const Config rope = rope_parameters(c);
  keys.real("rope.scaling.yarn_log_multiplier", rope.need_real({"mscale_all_dim"}));
  keys.real("attention.temperature_scale", rope.need_real({"llama_4_scaling_beta"}));
}

void experts(const Config& c, Keys& keys) {
  if (const auto ffn = c.integer({"moe_intermediate_size"})) keys.integer("expert_feed_forward_length", *ffn);
  if (const auto ffn = c.integer({"shared_expert_intermediate_size"}))
    keys.integer("expert_shared_feed_forward_length", *ffn);
}

void olmo(const Config& c, Keys& keys) {
  if (!c.has("sliding_window")) return;
  window(c, keys);
  window_pattern(c, keys, 4);
}

void exaone(const Config& c, Keys& keys) {
  vocabulary(c, keys);
  if (!c.has("sliding_window")) return;
  window(c, keys);
  const json::value* pattern = c.find("sliding_window_pattern");
  if (!c.has("layer_types") && pattern && pattern->is_string()) {  // such as "LLLG"
    const std::string kinds(pattern->get_string());
    std::vector<bool> slides;
    for (std::int64_t i = 0; !kinds.empty() && i < c.need_integer({"num_hidden_layers"}); ++i)
      slides.push_back(kinds[static_cast<std::size_t>(i) % kinds.size()] == 'L');
    keys.flags("attention.sliding_window_pattern", slides);
  } else {
    window_pattern(c, keys, std::max<std::int64_t>(1, c.integer({"sliding_window_pattern"}).value_or(4)));
  }
}

void cohere(const Config& c, Keys& keys) {
  vocabulary(c, keys);
  window(c, keys);
  keys.real("logit_scale", c.need_real({"logit_scale"}));
  const auto width = static_cast<double>(head_dim(c));
  keys.integer("rope.dimension_count", static_cast<std::int64_t>(c.real({"rotary_pct"}).value_or(1) * width));
  keys.text("rope.scaling.type", "none");
}

void glm(const Config& c, Keys& keys) {
  const double share = rope_parameters(c).real({"partial_rotary_factor"}).value_or(0.5);
  keys.integer("rope.dimension_count", static_cast<std::int64_t>(static_cast<double>(head_dim(c)) * share));
}

void gemma2(const Config& c, Keys& keys) {
  window(c, keys);
  keys.real("attn_logit_softcapping", c.need_real({"attn_logit_softcapping"}));
  keys.real("final_logit_softcapping", c.need_real({"final_logit_softcapping"}));
}

void gemma3(const Config& c, Keys& keys) {
  if (c.has("attn_logit_softcapping"))
    fail(ErrorKind::unsupported, "{}: field attn_logit_softcapping: Gemma 3 has none", c.source());
  if (const auto cap = c.real({"final_logit_softcapping"}); cap && *cap != 0)
    keys.real("final_logit_softcapping", *cap);
  window(c, keys);
}

void phi(const Config& c, Keys& keys) {
  const double share = rope_parameters(c).real({"partial_rotary_factor"}).value_or(1);
  keys.integer("rope.dimension_count", static_cast<std::int64_t>(share * static_cast<double>(head_dim(c))));
  keys.integer("rope.scaling.original_context_length",
               rope_parameters(c).need_integer({"original_max_position_embeddings"}));
  keys.integer("attention.sliding_window", c.integer({"sliding_window"}).value_or(0));
}

constexpr Family kFamilies[] = {
    {.type = "llama", .architecture = "llama", .rotary_neighbours = true, .keys = llama},
    {.type = "mistral", .architecture = "llama", .rotary_neighbours = true, .keys = llama},
    {.type = "mixtral", .architecture = "llama", .rotary_neighbours = true, .keys = llama},
    {.type = "smollm3", .architecture = "smollm3", .rotary_neighbours = true, .keys = llama},
    {.type = "granite", .architecture = "granite", .rotary_neighbours = true, .keys = granite},
    {.type = "granitemoe", .architecture = "granitemoe", .rotary_neighbours = true, .keys = granite},
    {.type = "granitemoeshared", .architecture = "granitemoe", .rotary_neighbours = true, .keys = granite},
    {.type = "ministral3", .architecture = "mistral3", .rotary_neighbours = true, .keys = ministral},
    {.type = "mistral3", .architecture = "mistral3", .rotary_neighbours = true, .keys = ministral},
    {.type = "qwen2", .architecture = "qwen2"},
    {.type = "qwen2_moe", .architecture = "qwen2moe", .keys = experts},
    {.type = "qwen3", .architecture = "qwen3"},
    {.type = "qwen3_moe", .architecture = "qwen3moe", .keys = experts},
    {.type = "gemma2",
     .architecture = "gemma2",
     .names = kPostNorms,
     .norms_from_one = true,
     .tied = true,
     .keys = gemma2},
    {.type = "gemma3_text",
     .architecture = "gemma3",
     .names = kPostNorms,
     .norms_from_one = true,
     .keys = gemma3},
    {.type = "gemma3", .architecture = "gemma3", .names = kPostNorms, .norms_from_one = true, .keys = gemma3},
    {.type = "phi3", .architecture = "phi3", .keys = phi},
    {.type = "olmo2", .architecture = "olmo2", .names = kPostNorms, .keys = olmo},
    {.type = "olmo3", .architecture = "olmo2", .names = kPostNorms, .keys = olmo},
    {.type = "glm4", .architecture = "glm4", .names = kGlmNorms, .keys = glm},
    {.type = "exaone4", .architecture = "exaone4", .names = kPostNorms, .keys = exaone},
    {.type = "cohere2", .architecture = "cohere2", .keys = cohere},
};

}  // namespace

void Keys::integer(std::string_view key, std::int64_t value) {
  if (!std::in_range<std::uint32_t>(value))
    fail(ErrorKind::bad_file, "config.json: {} for {} is out of range", value, full(key));
  values_.set(full(key), static_cast<std::uint32_t>(value));
}
void Keys::real(std::string_view key, double value) { values_.set(full(key), static_cast<float>(value)); }
void Keys::flag(std::string_view key, bool value) { values_.set(full(key), value); }
void Keys::text(std::string_view key, std::string_view value) { values_.set(full(key), value); }
void Keys::flags(std::string_view key, const std::vector<bool>& values) {
  const auto bools = std::make_unique<bool[]>(values.size());
  std::ranges::copy(values, bools.get());
  values_.set_array(full(key), std::span<const bool>(bools.get(), values.size()));
}

std::span<const Family> families() { return kFamilies; }

const Family& find_family(const Config& config) {
  const std::string type = config.text("model_type").value_or("");
  const auto* found = std::ranges::find(kFamilies, type, &Family::type);
  if (found != std::end(kFamilies)) return *found;
  std::string known;
  for (const Family& family : kFamilies) known += fmt::format("{}{}", known.empty() ? "" : ", ", family.type);
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: model_type \"{}\" cannot be read yet", config.source(), printable(type, 64)),
              "these can: " + known);
}

std::int64_t head_dim(const Config& config) {
  if (const auto width = config.integer({"head_dim"})) return *width;
  const std::int64_t heads = config.need_integer({"num_attention_heads"});
  if (heads < 1) fail(ErrorKind::bad_file, "{}: field num_attention_heads is {}", config.source(), heads);
  return config.need_integer({"hidden_size"}) / heads;
}

}  // namespace medlar::huggingface
