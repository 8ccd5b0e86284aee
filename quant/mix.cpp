// Rules by a tensor's role and its layer. The facts are llama.cpp's.
#include "quant/mix.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <numeric>
#include <optional>

#include <fmt/ranges.h>

#include "base/log.h"
#include "formats/all.h"

namespace medlar::quant {
namespace {

enum class Kind : std::uint8_t {
  pure,  // every tensor alike, but the output
  q2_k,
  q2_k_s,
  q3_k_s,
  q3_k_m,
  q3_k_l,
  q4_k_s,
  q4_k_m,
  q5_k_m,
  iq4,
  q4_0,
  q5_0,
  mxfp4,
  plain,  // F32, F16 and BF16: the output, too
};

struct KnownMix {
  Mix mix;
  Kind kind;
};

// Numbers are general.file_type's.
constexpr KnownMix kMixes[] = {
    {{"Q2_K", 10, DType::q2_k}, Kind::q2_k},     {{"Q2_K_S", 21, DType::q2_k}, Kind::q2_k_s},
    {{"Q3_K_S", 11, DType::q3_k}, Kind::q3_k_s}, {{"Q3_K_M", 12, DType::q3_k}, Kind::q3_k_m},
    {{"Q3_K_L", 13, DType::q3_k}, Kind::q3_k_l}, {{"IQ4_XS", 30, DType::iq4_xs}, Kind::iq4},
    {{"IQ4_NL", 25, DType::iq4_nl}, Kind::iq4},  {{"Q4_0", 2, DType::q4_0}, Kind::q4_0},
    {{"Q4_1", 3, DType::q4_1}, Kind::pure},      {{"Q4_K_S", 14, DType::q4_k}, Kind::q4_k_s},
    {{"Q4_K_M", 15, DType::q4_k}, Kind::q4_k_m}, {{"MXFP4", 38, DType::mxfp4}, Kind::mxfp4},
    {{"Q5_0", 8, DType::q5_0}, Kind::q5_0},      {{"Q5_1", 9, DType::q5_1}, Kind::pure},
    {{"Q5_K_S", 16, DType::q5_k}, Kind::pure},   {{"Q5_K_M", 17, DType::q5_k}, Kind::q5_k_m},
    {{"Q6_K", 18, DType::q6_k}, Kind::pure},     {{"Q8_0", 7, DType::q8_0}, Kind::pure},
    {{"BF16", 32, DType::bf16}, Kind::plain},    {{"F16", 1, DType::f16}, Kind::plain},
    {{"F32", 0, DType::f32}, Kind::plain},
};

constexpr auto kNames = [] {
  std::array<Mix, std::size(kMixes)> mixes;
  for (std::size_t i = 0; i < mixes.size(); ++i) mixes[i] = kMixes[i].mix;
  return mixes;
}();

struct Alias {
  std::string_view name, mix;
};
constexpr Alias kAliases[] = {
    {"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}, {"MXFP4_MOE", "MXFP4"}};

Kind kind_of(const Mix& mix) {
  return std::ranges::find(kMixes, mix.file_type, [](const KnownMix& m) { return m.mix.file_type; })->kind;
}

enum class Role : std::uint8_t {
  embedding,
  output,
  attn_v,  // also q, k and v in one, and keys and values of a latent
  attn_k,
  attn_output,
  ffn_down,
  other,
};

Role role_of(std::string_view name) {
  const auto has = [&](std::string_view part) { return name.contains(part); };
  if (name == "output.weight") return Role::output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return Role::embedding;
  if (has("attn_qkv.weight") || has("attn_kv_b.weight") || has("attn_v.weight")) return Role::attn_v;
  if (has("attn_k.weight")) return Role::attn_k;
  if (has("attn_output.weight")) return Role::attn_output;
  if (has("ffn_down")) return Role::ffn_down;
  return Role::other;
}

// "blk.12.…" is of layer 12; what is of none comes before the layers.
std::int64_t layer_of(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return -1;
  std::int64_t layer = -1;
  const char* first = name.data() + kPrefix.size();
  const auto [end, error] = std::from_chars(first, name.data() + name.size(), layer);
  return error == std::errc() && end != name.data() + name.size() && *end == '.' ? layer : -1;
}

// The first and last eighth of the layers, and every third between.
bool gets_more_bits(std::int64_t layer, std::int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

class Chooser {
 public:
  Chooser(std::span<const gguf::Tensor> tensors, const ModelFacts& facts, const Mix& mix, bool has_imatrix)
      : facts_(facts), mix_(mix), kind_(kind_of(mix)), has_imatrix_(has_imatrix) {
    for (const gguf::Tensor& t : tensors) {
      const Role role = role_of(t.name);
      if (role == Role::attn_v) ++values_;
      if (role == Role::output) tied_ = false;
    }
  }

  // Of the tensors in order of their layers.
  DType operator()(const gguf::Tensor& t) {
    if (kind_ == Kind::plain) return mix_.type;
    const Role role = role_of(t.name);
    if (role == Role::output || (role == Role::embedding && tied_)) return output(t);
    if (kind_ == Kind::mxfp4)
      return t.view.shape.rank() > 2 && t.view.shape[0] > 1 ? DType::mxfp4 : DType::q8_0;
    switch (role) {
      case Role::attn_v:
        return value(value_++);
      case Role::attn_k:
        return facts_.experts == 8 ? DType::q8_0 : mix_.type;
      case Role::attn_output:
        return attention_output();
      case Role::ffn_down: {
        const std::int64_t in_order = down_++;
        return down(facts_.experts > 1 ? layer_of(t.name) : in_order);
      }
      default:
        return mix_.type;
    }
  }

 private:
  bool falcon() const { return facts_.architecture == "falcon"; }
  bool shares_keys() const { return facts_.kv_heads > 0 && facts_.heads / facts_.kv_heads >= 4; }

  DType output(const gguf::Tensor& t) const {
    const bool divides = t.view.shape.back() % format_info(mix_.type).block_length == 0;
    if (kind_ == Kind::mxfp4 || falcon() || !divides || mix_.type == DType::q8_0) return DType::q8_0;
    return DType::q6_k;
  }

  DType value(std::int64_t index) const {
    DType type = mix_.type;
    if (kind_ == Kind::q2_k) type = shares_keys() ? DType::q4_k : DType::q3_k;
    if (kind_ == Kind::q2_k_s && shares_keys()) type = DType::q4_k;
    if (kind_ == Kind::q3_k_m) type = index < 2 ? DType::q5_k : DType::q4_k;
    if (kind_ == Kind::q3_k_l) type = DType::q5_k;
    if (kind_ == Kind::iq4 && shares_keys()) type = DType::q5_k;
    if ((kind_ == Kind::q4_k_m || kind_ == Kind::q5_k_m) && gets_more_bits(index, values_))
      type = DType::q6_k;
    if (kind_ == Kind::q4_k_s && index < 4) type = DType::q5_k;
    // 8 heads share a value of the largest Llama: a matrix so small is nearly free.
    const bool largest_llama =
        facts_.architecture == "llama" && facts_.layers == 80 && facts_.heads != facts_.kv_heads;
    if (largest_llama && (type == DType::q3_k || type == DType::q4_k)) type = DType::q5_k;
    return facts_.experts == 8 ? DType::q8_0 : type;
  }

  DType down(std::int64_t layer) const {
    const std::int64_t n = facts_.layers;
    const bool early = layer < n / 8;
    switch (kind_) {
      case Kind::q2_k:
        return DType::q3_k;
      case Kind::q2_k_s:
        return early ? DType::q4_k : mix_.type;
      case Kind::q3_k_m:
        if (layer < n / 16) return DType::q5_k;
        return !falcon() || gets_more_bits(layer, n) ? DType::q4_k : DType::q3_k;
      case Kind::q3_k_l:
        return falcon() ? DType::q4_k : DType::q5_k;
      case Kind::q4_k_m:
        if (falcon() && layer >= n / 16) return gets_more_bits(layer, n) ? DType::q5_k : DType::q4_k;
        return falcon() || gets_more_bits(layer, n) ? DType::q6_k : mix_.type;
      case Kind::iq4:
        return early && !has_imatrix_ ? DType::q5_k : mix_.type;
      case Kind::q5_k_m:
        return gets_more_bits(layer, n) ? DType::q6_k : mix_.type;
      case Kind::q4_k_s:
        return !falcon() && early ? DType::q5_k : mix_.type;
      case Kind::q4_0:
        return has_imatrix_ && early ? DType::q4_1 : mix_.type;
      case Kind::q5_0:
        return has_imatrix_ && early ? DType::q5_1 : mix_.type;
      default:
        return mix_.type;
    }
  }

  DType attention_output() const {
    if (falcon()) return kind_ == Kind::q3_k_l ? DType::q4_k : mix_.type;
    if (facts_.experts == 8) {
      constexpr Kind kCoarse[] = {Kind::q2_k,   Kind::q3_k_s, Kind::q3_k_m,
                                  Kind::q4_k_s, Kind::q4_k_m, Kind::iq4};
      return std::ranges::find(kCoarse, kind_) != std::end(kCoarse) ? DType::q5_k : mix_.type;
    }
    if (kind_ == Kind::q2_k) return DType::q3_k;
    if (kind_ == Kind::q3_k_m) return DType::q4_k;
    if (kind_ == Kind::q3_k_l) return DType::q5_k;
    return mix_.type;
  }

  const ModelFacts& facts_;
  const Mix& mix_;
  Kind kind_;
  bool has_imatrix_;
  bool tied_ = true;  // the embedding is the output
  std::int64_t values_ = 0, value_ = 0, down_ = 0;
};

bool same_letters(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::toupper(c); },
      [](unsigned char c) { return std::toupper(c); });
}

}  // namespace

std::span<const Mix> mixes() { return kNames; }

const Mix& find_mix(std::string_view name) {
  for (const Alias& alias : kAliases)
    if (same_letters(alias.name, name)) name = alias.mix;
  for (const Mix& mix : kNames)
    if (same_letters(mix.name, name)) return mix;
  std::vector<std::string_view> names;
  for (const Mix& mix : kNames) names.push_back(mix.name);
  throw Error(ErrorKind::usage, fmt::format("there is no type \"{}\"", printable(name)),
              fmt::format("use one of {}", fmt::join(names, " ")));
}

ModelFacts ModelFacts::of(const gguf::Metadata& metadata) {
  ModelFacts facts;
  facts.architecture = metadata.get_or<std::string>("general.architecture", "");
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", facts.architecture, name); };
  facts.layers = metadata.get_or<std::int64_t>(key("block_count"), 0);
  facts.experts = metadata.get_or<std::int64_t>(key("expert_count"), 0);
  // Of the first layer, where each has its own.
  const auto first = [&](std::string_view name, std::int64_t otherwise) -> std::int64_t {
    const gguf::Entry* e = metadata.entry(key(name));
    if (!e) return otherwise;
    if (e->type != gguf::ValueType::array) return metadata.get<std::int64_t>(e->key);
    const auto all = metadata.get<std::vector<std::int64_t>>(e->key);
    return all.empty() ? otherwise : all[0];
  };
  facts.heads = first("attention.head_count", 0);
  facts.kv_heads = first("attention.head_count_kv", facts.heads);
  return facts;
}

TypeRule TypeRule::parse(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  const std::optional<DType> type =
      equals == std::string::npos ? std::nullopt : parse_dtype(std::string_view(text).substr(equals + 1));
  if (!type || equals == 0 || !format_info(*type).is_weight())
    throw Error(ErrorKind::usage, fmt::format("--tensor {} is no REGEX=TYPE", printable(text)),
                "for example: --tensor 'ffn_down=q6_k'");
  try {
    return {text, std::regex(text.substr(0, equals)), *type};
  } catch (const std::regex_error&) {
    throw Error(ErrorKind::usage, fmt::format("--tensor {}: not a regular expression", printable(text)),
                "quote special characters with a backslash");
  }
}

bool allows_quantization(const gguf::Tensor& tensor) {
  const std::string_view name = tensor.name;
  if (tensor.view.shape.rank() < 2 || !name.ends_with("weight")) return false;
  if (!format_info(tensor.view.type).is_weight()) return false;
  if (name == "position_embd.weight" || name == "token_types.weight") return false;
  // Small, and read by every token.
  constexpr std::string_view kKept[] = {"_norm.weight",
                                        "ffn_gate_inp.weight",
                                        "ffn_gate_tid2eid.weight",
                                        "altup",
                                        "laurel",
                                        "per_layer_model_proj",
                                        "ssm_conv1d",
                                        "shortconv.conv.weight",
                                        "indexer.k_proj.weight",
                                        "indexer.q_proj.weight",
                                        "time_mix_first.weight",
                                        "time_mix_w0.weight",
                                        "time_mix_w1.weight",
                                        "time_mix_w2.weight",
                                        "time_mix_v0.weight",
                                        "time_mix_v1.weight",
                                        "time_mix_v2.weight",
                                        "time_mix_a0.weight",
                                        "time_mix_a1.weight",
                                        "time_mix_a2.weight",
                                        "time_mix_g1.weight",
                                        "time_mix_g2.weight",
                                        "time_mix_decay_w1.weight",
                                        "time_mix_decay_w2.weight",
                                        "time_mix_lerp_fused.weight",
                                        "attn_rel_b.weight",
                                        ".position_embd",
                                        "sam.pos_embd",
                                        "sam.neck.",
                                        "sam.net_",
                                        ".rel_pos",
                                        ".patch_embd",
                                        ".patch_merger",
                                        "a.rvq.codebook",
                                        "mm.a.code_embd"};
  return std::ranges::none_of(kKept, [&](std::string_view part) { return name.contains(part); });
}

DType type_that_divides(DType type, std::int64_t columns) {
  const auto divides = [&](DType t) { return columns % format_info(t).block_length == 0; };
  if (divides(type)) return type;
  DType instead = type;
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
      instead = DType::q4_0;
      break;
    case DType::q4_k:
      instead = DType::q5_0;
      break;
    case DType::q5_k:
      instead = DType::q5_1;
      break;
    case DType::q6_k:
      instead = DType::q8_0;
      break;
    case DType::iq4_xs:
      instead = DType::iq4_nl;
      break;
    default:
      break;
  }
  return divides(instead) ? instead : DType::f16;
}

std::vector<TypeChoice> choose_types(std::span<const gguf::Tensor> tensors, const ModelFacts& facts,
                                     const Mix& mix, const MixOptions& options) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {},
                    [&](std::size_t i) { return std::pair(layer_of(tensors[i].name), tensors[i].name); });
  Chooser chooser(tensors, facts, mix, options.has_imatrix);
  std::vector<TypeChoice> choices(tensors.size());
  for (const std::size_t i : order) {
    const gguf::Tensor& t = tensors[i];
    if (!allows_quantization(t)) {
      choices[i] = {t.view.type, t.view.type};
      continue;
    }
    const auto rule = std::ranges::find_if(options.rules, [&](const TypeRule& r) {
      return std::regex_search(t.name.begin(), t.name.end(), r.pattern);
    });
    const DType wanted = rule != options.rules.end() ? rule->type : chooser(t);
    choices[i] = {type_that_divides(wanted, t.view.shape.back()), wanted};
  }
  return choices;
}

}  // namespace medlar::quant
