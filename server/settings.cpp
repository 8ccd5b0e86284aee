#include "server/settings.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace medlar::server {
namespace {

namespace json = boost::json;
using Sampler = SamplerOptions;

constexpr double kMostBias = 1e6;
constexpr std::size_t kMostStops = 256;

Form<Sampler> sampler_form() {
  Form<Sampler> form;
  form.field("temperature", &Sampler::temperature,
             {.about = "0: always the most likely token", .min = 0, .max = 1e6})
      .field("top_k", &Sampler::top_k, {.about = "choose among the K most likely tokens; 0: all", .min = -1})
      .field("top_p", &Sampler::top_p,
             {.about = "choose among the tokens that make up this probability", .min = 0, .max = 1})
      .field("min_p", &Sampler::min_p,
             {.about = "drop tokens less likely than P times the most likely one", .min = 0, .max = 1})
      .field("typical_p", &Sampler::typical_p,
             {.about = "locally typical sampling; 1: off", .min = 0, .max = 1})
      .field(
          "top_n_sigma", &Sampler::top_n_sigma,
          {.about = "keep logits within N standard deviations of the best; -1: off", .min = -1, .max = 1e6})
      .field("xtc_probability", &Sampler::xtc_probability,
             {.about = "how often the top choices are excluded", .min = 0, .max = 1})
      .field("xtc_threshold", &Sampler::xtc_threshold, {.about = "what is a top choice", .min = 0, .max = 1})
      .field("repeat_penalty", &Sampler::repeat_penalty,
             {.about = "make what was just said less likely; 1: off", .min = 1e-3, .max = 1e6})
      .field("repeat_last_n", &Sampler::penalty_last_n,
             {.about = "tokens that penalties look back at; -1: all", .min = -1})
      .field("presence_penalty", &Sampler::presence_penalty,
             {.about = "taken from tokens that were said", .min = -1e3, .max = 1e3})
      .field("frequency_penalty", &Sampler::frequency_penalty,
             {.about = "taken from tokens each time they were said", .min = -1e3, .max = 1e3})
      .field("dry_multiplier", &Sampler::dry_multiplier,
             {.about = "penalty on going on with a repetition; 0: off", .min = 0, .max = 1e6})
      .field("dry_base", &Sampler::dry_base, {.about = "its growth with the length", .min = 0, .max = 1e6})
      .field("dry_allowed_length", &Sampler::dry_allowed_length,
             {.about = "length that is free of it", .min = 0, .max = 1 << 20})
      .field("dry_penalty_last_n", &Sampler::dry_penalty_last_n,
             {.about = "tokens it looks back at", .min = -1})
      .field("dry_sequence_breakers", &Sampler::dry_sequence_breakers,
             {.about = "texts that no repetition crosses", .max_items = 64})
      .field("mirostat", &Sampler::mirostat, {.about = "1 or 2: perplexity control", .min = 0, .max = 2})
      .field("mirostat_tau", &Sampler::mirostat_tau,
             {.about = "the surprise it aims at", .min = 0, .max = 1e6})
      .field("mirostat_eta", &Sampler::mirostat_eta, {.about = "how fast it adapts", .min = 0, .max = 1e6})
      .field("min_keep", &Sampler::min_keep,
             {.about = "candidates that a filter always leaves", .min = 1, .max = 1 << 20})
      .set<Seed>("seed", {.about = "the same seed and prompt give the same text; -1: a new one", .min = -1},
                 [](Sampler& sampler, Seed seed) {
                   sampler.random_seed = !seed.value;
                   sampler.seed = seed.value.value_or(0);
                 })
      .set<BiasList>("logit_bias",
                     {.about = "added to the logits of tokens", .min = -kMostBias, .max = kMostBias},
                     [](Sampler& sampler, BiasList list) { sampler.logit_bias = std::move(list.items); });
  return form;
}

Form<Settings> make_form() {
  static const Form<Sampler> sampler = sampler_form();
  const auto limit = [](Settings& settings, std::int64_t n) {
    if (n >= 0) settings.max_tokens = n;
  };
  constexpr std::string_view kLimit = "tokens to write at most";
  Form<Settings> form;
  form.part(sampler, &Settings::sampler)
      .set<std::int64_t>("max_tokens", {.about = kLimit, .min = 1}, limit)
      .set<std::int64_t>("max_completion_tokens", {.about = kLimit, .min = 1}, limit)
      .set<std::int64_t>("n_predict", {.about = "as max_tokens; -1: no limit", .min = -1}, limit)
      .set<std::int64_t>("num_predict", {.about = "as max_tokens; -1 or -2: no limit", .min = -2}, limit)
      .field("num_ctx", &Settings::context,
             {.about = "tokens that prompt and answer may have together", .min = 1})
      .field("n_ctx", &Settings::context, {.about = "as num_ctx", .min = 1})
      .field("ignore_eos", &Settings::ignore_end, {.about = "go on past the end of the turn"})
      .set<std::string>(
          "overflow",
          {.about = "what does not fit the context: an error; left out between the first tokens and the "
                    "newest (shift); or, of a conversation, its oldest turns condensed by the model "
                    "(summarize); and reported",
           .choices = {"error", "shift", "summarize"}},
          [](Settings& settings, std::string name) {
            settings.overflow = name == "shift" ? Overflow::shift : Overflow::error;
            settings.summarize = name == "summarize";
          })
      .field("num_keep", &Settings::keep, {.about = "with shift: first tokens that stay", .min = 0})
      .field("n_keep", &Settings::keep, {.about = "as num_keep", .min = 0})
      .set<std::string>("priority",
                        {.about = "background requests wait for interactive ones",
                         .choices = {"interactive", "background"}},
                        [](Settings& settings, std::string name) {
                          settings.priority =
                              name == "background" ? Priority::background : Priority::interactive;
                        })
      .field("queue_timeout", &Settings::queue_timeout, queue_timeout_spec())
      .set<LoraScales>(
          "lora",
          {.about =
               "scales of adapters, as [{\"id\": 0, \"scale\": 1}]: those that the model was loaded with"},
          [](Settings& settings, LoraScales scales) { settings.lora = std::move(scales); })
      .set<Strings>("stop", {.about = "the answer ends before the first of these", .max_items = kMostStops},
                    [](Settings& settings, Strings list) { settings.stop = std::move(list.items); });
  return form;
}

LogitBias bias_of_pair(const json::value& pair, const Path& path, const FieldSpec& spec) {
  if (!pair.is_array() || pair.get_array().size() != 2) fail_at(path, "must be [token, bias]");
  const json::value& bias = pair.get_array()[1];
  LogitBias result{.token = JsonType<std::int32_t>::read(pair.get_array()[0], path[0], {.min = 0})};
  if (bias.is_bool() && !bias.get_bool()) {
    result.bias = -std::numeric_limits<float>::infinity();
  } else {
    result.bias = JsonType<float>::read(bias, path[1], spec);
  }
  return result;
}

}  // namespace

FieldSpec queue_timeout_spec() {
  return {.about = "seconds that the request may wait for its turn; then it is a 503", .min = 0, .max = 1e6};
}

const Form<Settings>& settings_form() {
  static const Form<Settings> form = make_form();
  return form;
}

Seed JsonType<Seed>::read(const json::value& v, const Path& path, const FieldSpec& spec) {
  if (v.is_uint64()) return {v.get_uint64()};
  if (v.is_int64() && v.get_int64() >= 0) return {static_cast<std::uint64_t>(v.get_int64())};
  const std::int64_t seed = JsonType<std::int64_t>::read(v, path, spec);
  return seed < 0 ? Seed{} : Seed{static_cast<std::uint64_t>(seed)};
}

Strings JsonType<Strings>::read(const json::value& v, const Path& path, const FieldSpec& spec) {
  Strings result;
  if (v.is_string()) {
    result.items = {std::string(v.get_string())};
  } else if (v.is_array()) {
    result.items = JsonType<std::vector<std::string>>::read(v, path, spec);
  } else {
    fail_at(path, fmt::format("must be a string or a list of strings, not {}", kind_name(v)));
  }
  return result;
}

json::object JsonType<Strings>::schema(const FieldSpec& spec) {
  return {{"description", spec.about},
          {"oneOf",
           {{{"type", "string"}},
            {{"type", "array"}, {"items", {{"type", "string"}}}, {"maxItems", spec.max_items}}}}};
}

BiasList JsonType<BiasList>::read(const json::value& v, const Path& path, const FieldSpec& spec) {
  BiasList result;
  if (v.is_array()) {
    for (const json::value& pair : form_detail::read_array(v, path, {.max_items = 1 << 18}))
      result.items.push_back(bias_of_pair(pair, path[result.items.size()], spec));
    return result;
  }
  if (!v.is_object()) fail_at(path, fmt::format("must be an object or a list, not {}", kind_name(v)));
  for (const auto& [key, bias] : v.get_object()) {
    const std::string_view name(key.data(), key.size());
    LogitBias item;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), item.token);
    if (error != std::errc() || end != name.data() + name.size() || item.token < 0)
      fail_at(path / name, "the key is no token id");
    item.bias = JsonType<float>::read(bias, path / name, spec);
    result.items.push_back(item);
  }
  return result;
}

json::object JsonType<BiasList>::schema(const FieldSpec& spec) {
  return {
      {"description", spec.about},
      {"oneOf", {{{"type", "object"}, {"additionalProperties", {{"type", "number"}}}}, {{"type", "array"}}}}};
}

}  // namespace medlar::server
