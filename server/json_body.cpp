#include "server/json_body.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;
using boost::system::error_code;

// A parser's handler that looks for what json::value takes and says nothing of: keys that an object has
// twice, of which it keeps the last one, and numbers beyond a double, which become infinite.
struct Inspector {
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1),
                               max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);

  std::vector<std::set<std::string, std::less<>>> objects;
  std::string key, last_key;
  enum class Fault : std::uint8_t { none, twice, too_large } fault = Fault::none;

  bool on_object_begin(error_code&) {
    objects.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, error_code&) {
    objects.pop_back();
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, error_code&) {
    key += std::string_view(part.data(), part.size());
    return true;
  }
  bool on_key(json::string_view part, std::size_t, error_code& error) {
    key += std::string_view(part.data(), part.size());
    last_key = std::exchange(key, {});
    return objects.back().insert(last_key).second || fail(Fault::twice, error);
  }
  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_array_begin(error_code&) { return true; }
  bool on_array_end(std::size_t, error_code&) { return true; }
  bool on_string_part(json::string_view, std::size_t, error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, error_code&) { return true; }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, error_code&) { return true; }
  bool on_double(double number, json::string_view, error_code& error) {
    return std::isfinite(number) || fail(Fault::too_large, error);
  }
  bool on_bool(bool, error_code&) { return true; }
  bool on_null(error_code&) { return true; }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

  bool fail(Fault which, error_code& error) {
    fault = which;
    error = json::error::extra_data;  // any will do
    return false;
  }
};

}  // namespace

json::value parse_body(std::string_view body) {
  json::parse_options options;
  options.max_depth = kJsonDepth;
  if (body.empty()) throw ApiError(400, "the body is empty", {.hint = "send a JSON object"});
  json::basic_parser<Inspector> inspector(options);
  error_code error;
  const std::size_t read = inspector.write_some(false, body.data(), body.size(), error);
  const std::string key = printable(inspector.handler().last_key, 64);
  if (inspector.handler().fault == Inspector::Fault::twice)
    throw ApiError(400, fmt::format("the body has the key \"{}\" twice", key), {.param = key});
  if (inspector.handler().fault == Inspector::Fault::too_large)
    fail_at({.name = key}, "is too large for a number");
  if (error) throw ApiError(400, fmt::format("the body is not JSON: {} at byte {}", error.message(), read));
  if (read != body.size())
    throw ApiError(400, fmt::format("the body is not JSON: something follows the value at byte {}", read));
  return json::parse(json::string_view(body.data(), body.size()), {}, options);
}

std::string Path::text() const {
  std::string before = parent ? parent->text() : "";
  if (index >= 0) return before + fmt::format("[{}]", index);
  return before.empty() || name.empty() ? before + std::string(name) : before + "." + std::string(name);
}

void fail_at(const Path& path, std::string_view message) {
  const std::string place = printable(path.text(), 128);
  throw ApiError(400, fmt::format("{}: {}", place.empty() ? "the body" : place, message), {.param = place});
}

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
  }
  return "nothing";
}

const json::object& object_at(const json::value& value, const Path& path) {
  if (!value.is_object()) fail_at(path, fmt::format("must be an object, not {}", kind_name(value)));
  return value.get_object();
}

std::string_view text_at(const json::object& object, std::string_view key, const Path& path) {
  const json::value* value = object.if_contains(key);
  if (!value || value->is_null()) return {};
  if (!value->is_string()) fail_at(path / key, fmt::format("must be a string, not {}", kind_name(*value)));
  return value->get_string();
}

std::string_view required_text_at(const json::object& object, std::string_view key, const Path& path) {
  const json::value* value = object.if_contains(key);
  if (!value || !value->is_string()) fail_at(path / key, "must be a string");
  return value->get_string();
}

json::value parsed_or_null(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

json::value parse_kept(std::string_view text) {
  constexpr std::size_t kAround = 8;  // levels that the server adds
  json::parse_options options;
  options.max_depth = kJsonDepth + kAround;
  return json::parse(text, {}, options);
}

}  // namespace medlar::server
