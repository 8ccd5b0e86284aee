#include "huggingface/names.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace medlar::huggingface {
namespace {

constexpr Renaming kOutside[] = {
    {"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}};

constexpr Renaming kCommon[] = {
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q", Rows::query_heads},
    {"self_attn.k_proj", "attn_k", Rows::key_heads},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.qkv_proj", "attn_qkv"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.gate_up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    // Mixtures of experts, as Qwen names them.
    {"mlp.gate", "ffn_gate_inp"},
    {"mlp.experts.{}.gate_proj", "ffn_gate_exps"},
    {"mlp.experts.{}.up_proj", "ffn_up_exps"},
    {"mlp.experts.{}.down_proj", "ffn_down_exps"},
    {"mlp.switch_mlp.gate_proj", "ffn_gate_exps"},  // as MLX stacks them
    {"mlp.switch_mlp.up_proj", "ffn_up_exps"},
    {"mlp.switch_mlp.down_proj", "ffn_down_exps"},
    {"mlp.experts.gate_up_proj", "ffn_gate_exps", Rows::first_half},
    {"mlp.experts.gate_up_proj", "ffn_up_exps", Rows::second_half},
    {"mlp.experts.down_proj", "ffn_down_exps"},
    {"mlp.shared_expert_gate", "ffn_gate_inp_shexp"},
    {"mlp.shared_expert.gate_proj", "ffn_gate_shexp"},
    {"mlp.shared_expert.up_proj", "ffn_up_shexp"},
    {"mlp.shared_expert.down_proj", "ffn_down_shexp"},
    // As Mixtral does.
    {"block_sparse_moe.gate", "ffn_gate_inp"},
    {"block_sparse_moe.experts.{}.w1", "ffn_gate_exps"},
    {"block_sparse_moe.experts.{}.w3", "ffn_up_exps"},
    {"block_sparse_moe.experts.{}.w2", "ffn_down_exps"},
    // As Granite does.
    {"block_sparse_moe.router.layer", "ffn_gate_inp"},
    {"block_sparse_moe.input_linear", "ffn_gate_exps", Rows::first_half},
    {"block_sparse_moe.input_linear", "ffn_up_exps", Rows::second_half},
    {"block_sparse_moe.output_linear", "ffn_down_exps"},
    {"shared_mlp.input_linear", "ffn_gate_shexp", Rows::first_half},
    {"shared_mlp.input_linear", "ffn_up_shexp", Rows::second_half},
    {"shared_mlp.output_linear", "ffn_down_shexp"},
};

// Parts of names that belong to encoders of images and sound, or that are tables and no weights.
constexpr std::string_view kElsewhere[] = {"vision_tower",          "vision_model", "visual.",
                                           "multi_modal_projector", "audio_tower",  "embed_vision",
                                           "embed_audio",           "inv_freq",     "masked_bias"};

std::string_view take_number(std::string_view& text, std::int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return {};
  const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.data()));
  text.remove_prefix(digits.size());
  return digits;
}

// "a.experts.12.b" becomes "a.experts.{}.b" and 12.
void take_expert(std::string& module, std::int64_t& expert) {
  constexpr std::string_view kExperts = ".experts.";
  const std::size_t at = module.find(kExperts);
  if (at == module.npos) return;
  std::string_view rest = std::string_view(module).substr(at + kExperts.size());
  const std::string_view digits = take_number(rest, expert);
  if (digits.empty())
    expert = -1;
  else
    module.replace(at + kExperts.size(), digits.size(), "{}");
}

void match(std::span<const Renaming> list, std::string_view module, std::vector<Renaming>& found) {
  std::ranges::copy_if(list, std::back_inserter(found),
                       [&](const Renaming& r) { return r.module == module; });
}

}  // namespace

std::optional<ParsedName> parse_name(std::string_view name) {
  for (const std::string_view part : kElsewhere)
    if (name.find(part) != name.npos) return std::nullopt;
  for (const std::string_view prefix :
       {"model.language_model.", "language_model.model.", "language_model.", "model."})
    if (name.starts_with(prefix)) {
      name.remove_prefix(prefix.size());
      break;
    }
  ParsedName parsed{.kind = "weight"};
  constexpr std::string_view kLayers = "layers.";
  if (name.starts_with(kLayers)) {
    std::string_view rest = name.substr(kLayers.size());
    if (!take_number(rest, parsed.layer).empty() && rest.starts_with('.')) name = rest.substr(1);
  }
  for (const std::string_view kind : {"weight", "bias"}) {
    if (name.size() <= kind.size() + 1 || !name.ends_with(kind) || name[name.size() - kind.size() - 1] != '.')
      continue;
    parsed.kind = kind;
    name.remove_suffix(kind.size() + 1);
    break;
  }
  parsed.module = name;
  take_expert(parsed.module, parsed.expert);
  return parsed;
}

std::vector<Renaming> renamings(const ParsedName& name, std::span<const Renaming> own) {
  std::vector<Renaming> found;
  if (name.layer < 0) {
    match(kOutside, name.module, found);
    return found;
  }
  match(own, name.module, found);
  if (found.empty()) match(kCommon, name.module, found);
  return found;
}

}  // namespace medlar::huggingface
