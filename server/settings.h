// How to sample and when to stop: the same fields, with the same names, on every route that generates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "server/adapters.h"
#include "server/form.h"

namespace medlar::server {

struct Settings {
  SamplerOptions sampler;
  std::optional<std::int64_t> max_tokens;  // none: until the context is full
  std::optional<std::int64_t> context;     // tokens of prompt and answer together; none: the model's
  std::vector<std::string> stop;
  bool ignore_end = false;
  int top_logprobs = 0;
  Overflow overflow = Overflow::error;
  std::int64_t keep = 0;   // with Overflow::shift: first tokens that stay
  bool summarize = false;  // a conversation that does not fit has its oldest turns condensed (summary.h)
  std::optional<Priority> priority;     // none: the client's
  std::optional<double> queue_timeout;  // seconds; none: the server's own limit
  std::optional<LoraScales> lora;       // none: those that the model was loaded with
};

// With OpenAI's, Ollama's and llama-server's names: where they differ, all of them work everywhere.
const Form<Settings>& settings_form();

// Of "queue_timeout", on every route that can wait.
FieldSpec queue_timeout_spec();

// A whole number of 64 bits, exactly; -1: none.
struct Seed {
  std::optional<std::uint64_t> value;
};
template <>
struct JsonType<Seed> {
  static Seed read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec) { return form_detail::schema_of("integer", spec); }
};

// One string, or a list of them.
struct Strings {
  std::vector<std::string> items;
};
template <>
struct JsonType<Strings> {
  static Strings read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

// {"TOKEN": BIAS}, or [[TOKEN, BIAS], ...] where BIAS may be false for a ban and TOKEN a text of one token.
struct BiasList {
  std::vector<LogitBias> items;
};
template <>
struct JsonType<BiasList> {
  static BiasList read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

}  // namespace medlar::server
