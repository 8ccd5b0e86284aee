// Bodies of requests: strict JSON, no key twice, bounded in depth, and read into forms whose values lie
// within their ranges; whatever is wrong is a 400 that names a place in valid UTF-8.
#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/form.h"
#include "server/json_body.h"
#include "server/settings.h"
#include "text/unicode.h"

namespace medlar::fuzz {
namespace {

namespace json = boost::json;
using namespace server;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

struct Inner {
  std::vector<std::vector<int>> rows;
  std::optional<bool> flag;
};
const Form<Inner>& inner_form() {
  static const Form<Inner> form = Form<Inner>()
                                      .field("rows", &Inner::rows, {.min = -2, .max = 9, .max_items = 4})
                                      .field("flag", &Inner::flag, {.required = true});
  return form;
}

}  // namespace
}  // namespace medlar::fuzz

template <>
struct medlar::server::JsonType<medlar::fuzz::Inner> {
  static fuzz::Inner read(const boost::json::value& v, const Path& path, const FieldSpec&) {
    return fuzz::inner_form().read(v, path);
  }
  static boost::json::object schema(const FieldSpec&) { return fuzz::inner_form().schema(); }
};

namespace medlar::fuzz {
namespace {

struct Body {
  std::string word = "a";
  std::int64_t integer = 0;
  float number = 0;
  json::value any;
  std::vector<Inner> list;
  Settings settings;
};
const Form<Body>& form() {
  static const Form<Body> form = Form<Body>()
                                     .field("word", &Body::word, {.choices = {"a", "bb"}})
                                     .field("integer", &Body::integer)
                                     .field("number", &Body::number)
                                     .field("any", &Body::any)
                                     .field("list", &Body::list, {.max_items = 3})
                                     .part(settings_form(), &Body::settings);
  return form;
}

std::size_t depth(const json::value& value) {
  std::size_t deepest = 0;
  if (value.is_array())
    for (const json::value& item : value.get_array()) deepest = std::max(deepest, depth(item));
  if (value.is_object())
    for (const auto& [key, item] : value.get_object()) deepest = std::max(deepest, depth(item));
  return value.is_structured() ? deepest + 1 : 0;
}

bool within(double value, double low, double high) { return value >= low && value <= high; }

void check(const Body& body) {
  require(body.word == "a" || body.word == "bb");
  require(within(static_cast<double>(body.integer), -9007199254740992.0, 9007199254740992.0));
  require(std::isfinite(body.number));
  require(body.list.size() <= 3);
  for (const Inner& inner : body.list) {
    require(inner.flag.has_value() && inner.rows.size() <= 4);
    for (const auto& row : inner.rows) {
      require(row.size() <= 4);
      for (const int n : row) require(within(n, -2, 9));
    }
  }
  const SamplerOptions& sampler = body.settings.sampler;
  require(within(sampler.temperature, 0, 1e6) && within(sampler.top_p, 0, 1) && sampler.top_k >= -1);
  require(within(sampler.mirostat, 0, 2) && sampler.min_keep >= 1 && sampler.repeat_penalty > 0);
  for (const LogitBias& bias : sampler.logit_bias)
    require(bias.token >= 0 && (std::isinf(bias.bias) || within(bias.bias, -1e6, 1e6)));
  require(body.settings.stop.size() <= 256);
}

void check(const ApiError& error) {
  require(error.status() == 400 && !std::string_view(error.what()).empty());
  for (const std::string& said : {error.text(), error.about().param})
    require(text::valid_utf8_prefix(said) == said.size());
  for (const Dialect dialect : {Dialect::openai, Dialect::anthropic, Dialect::ollama, Dialect::llama})
    require(json::parse(error_response(dialect, error).body).is_object());
}

}  // namespace
}  // namespace medlar::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace medlar::fuzz;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  try {
    const json::value value = parse_body(text);
    require(depth(value) <= kJsonDepth);
    require(json::parse(json::serialize(value)).kind() == value.kind());
    check(form().read(value));
  } catch (const ApiError& error) {
    check(error);
  }
  return 0;
}
