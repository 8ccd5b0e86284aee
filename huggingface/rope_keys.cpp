// Rotary embeddings: config.json's parameters, which moved between versions, and the tensors made of them.
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/log.h"
#include "huggingface/families.h"

namespace medlar::huggingface {
namespace {

constexpr std::int64_t kMaxDim = 1 << 14;

// Of a text's full attention, where windows have parameters of their own.
Config full_attention(const Config& rope) {
  return rope.has("full_attention") ? rope.within("full_attention") : rope;
}

std::string rope_type(const Config& rope) {
  for (const std::string_view name : {"rope_type", "type"})
    if (const auto type = rope.text(name)) return *type;
  return "default";
}

void set_yarn_keys(const Config& rope, Keys& keys) {
  keys.integer("rope.scaling.original_context_length",
               rope.need_integer({"original_max_position_embeddings"}));
  const auto real = [&](std::string_view key, Config::Names names) {
    if (const auto value = rope.real(names)) keys.real(key, *value);
  };
  real("rope.scaling.yarn_ext_factor", {"extrapolation_factor"});
  real("rope.scaling.yarn_attn_factor", {"attention_factor", "attn_factor"});
  real("rope.scaling.yarn_beta_fast", {"beta_fast"});
  real("rope.scaling.yarn_beta_slow", {"beta_slow"});
}

// As published with Llama 3.1: wavelengths longer than the first context are stretched, in float.
std::vector<float> llama3_divisors(const Config& rope, std::int64_t dim) {
  const auto base = static_cast<float>(rope.real({"rope_theta"}).value_or(10000));
  const double factor = rope.real({"factor"}).value_or(8);
  const double low = rope.real({"low_freq_factor"}).value_or(1);
  const double high = rope.real({"high_freq_factor"}).value_or(4);
  const double context = rope.real({"original_max_position_embeddings"}).value_or(8192);
  if (!(low > 0 && high > low && factor > 0 && base > 0))
    fail(ErrorKind::bad_file, "{}: rope parameters: low_freq_factor {}, high_freq_factor {}, factor {}",
         rope.source(), low, high, factor);
  std::vector<float> divisors;
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float frequency = 1 / std::pow(base, static_cast<float>(i) / static_cast<float>(dim));
    const float length = 1 / frequency * static_cast<float>(2 * std::numbers::pi);  // tokens of a turn
    const float smooth =
        (1 / length * static_cast<float>(context) - static_cast<float>(low)) / static_cast<float>(high - low);
    if (length < static_cast<float>(context / high))
      divisors.push_back(1);
    else if (length > static_cast<float>(context / low))
      divisors.push_back(static_cast<float>(factor));
    else
      divisors.push_back(1 / ((1 - smooth) / static_cast<float>(factor) + smooth));
  }
  return divisors;
}

std::vector<float> floats(const std::vector<double>& values) { return {values.begin(), values.end()}; }

// Two lists of divisors, for texts of up to the first context and longer ones (Ding et al. 2024).
std::vector<Made> long_rope_tensors(const Config& c, const Config& rope, Keys& keys) {
  const double first = rope.need_real({"original_max_position_embeddings"});
  const double growth = c.need_real({"max_position_embeddings"}) / first;
  keys.real("rope.scaling.attn_factor", growth > 1 ? std::sqrt(1 + std::log(growth) / std::log(first)) : 1.0);
  std::vector<Made> made;
  const double share = rope.real({"partial_rotary_factor"}).value_or(1);
  const auto dim = static_cast<std::int64_t>(share * static_cast<double>(head_dim(c)));
  for (const std::string_view kind : {"long", "short"}) {
    const std::string field = fmt::format("{}_factor", kind);
    Made tensor{fmt::format("rope_factors_{}.weight", kind), floats(rope.reals(field))};
    if (std::ssize(tensor.values) != dim / 2)
      fail(ErrorKind::bad_file, "{}: field {}: {} numbers, expected {}", rope.source(), field,
           tensor.values.size(), dim / 2);
    made.push_back(std::move(tensor));
  }
  return made;
}

}  // namespace

Config rope_parameters(const Config& c) {
  Config rope = c.within(c.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  if (rope.has("full_attention") || rope.has("sliding_attention")) return rope;
  const auto mirror = [&](std::string_view field, std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
      if (const auto* value = c.find(name)) rope.set_default(field, *value);
  };
  mirror("rope_theta", {"rope_theta", "global_rope_theta"});
  mirror("partial_rotary_factor", {"partial_rotary_factor"});
  mirror("original_max_position_embeddings", {"original_max_position_embeddings"});
  for (const std::string_view name : {"rope_local_base_freq", "local_rope_theta"})
    if (const auto theta = c.real({name}))
      rope.set_default("sliding_attention", boost::json::object{{"rope_theta", *theta}});
  return rope;
}

void set_rope_keys(const Config& c, Keys& keys) {
  const Config all = rope_parameters(c), rope = full_attention(all);
  const std::string type = rope_type(rope);
  if (type == "linear" || type == "yarn") {
    keys.text("rope.scaling.type", type);
    keys.real("rope.scaling.factor", rope.need_real({"factor"}));
    if (type == "yarn") set_yarn_keys(rope, keys);
  } else if (type != "default" && type != "llama3" && type != "longrope" && type != "su") {
    fail(ErrorKind::unsupported, "{}: rope parameters of the type \"{}\" cannot be read yet", c.source(),
         printable(type, 64));
  }
  if (const auto theta = rope.real({"rope_theta"})) keys.real("rope.freq_base", *theta);
  if (const auto theta = all.within("sliding_attention").real({"rope_theta"}))
    keys.real("rope.freq_base_swa", *theta);
}

std::vector<Made> rope_tensors(const Config& c, Keys& keys) {
  const Config rope = full_attention(rope_parameters(c));
  const std::string type = rope_type(rope);
  const std::int64_t dim = head_dim(c);
  if (dim < 2 || dim > kMaxDim) fail(ErrorKind::bad_file, "{}: heads of {} elements", c.source(), dim);
  if (type == "llama3") {
    std::vector<Made> made;
    made.push_back({"rope_freqs.weight", llama3_divisors(rope, dim)});
    return made;
  }
  if (type == "longrope" || type == "su") return long_rope_tensors(c, rope, keys);
  return {};
}

}  // namespace medlar::huggingface
