#include "server/form.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace medlar::server::form_detail {
namespace {

namespace json = boost::json;

[[noreturn]] void fail_type(const json::value& value, const Path& path, std::string_view wanted) {
  fail_at(path, fmt::format("must be {}, not {}", wanted, kind_name(value)));
}

void check_range(double number, const Path& path, const FieldSpec& spec) {
  if (std::isfinite(number) && (!spec.min || number >= *spec.min) && (!spec.max || number <= *spec.max))
    return;
  if (spec.min && spec.max) fail_at(path, fmt::format("must be from {} to {}", *spec.min, *spec.max));
  if (spec.min && number < *spec.min) fail_at(path, fmt::format("must be at least {}", *spec.min));
  if (spec.max && number > *spec.max) fail_at(path, fmt::format("must be at most {}", *spec.max));
  fail_at(path, "is too large for a number");
}

}  // namespace

double read_number(const json::value& value, const Path& path, const FieldSpec& spec) {
  if (!value.is_number()) fail_type(value, path, "a number");
  const double number = value.to_number<double>();
  FieldSpec range = spec;
  // What a float holds.
  if (!range.min) range.min = -1e30;
  if (!range.max) range.max = 1e30;
  check_range(number, path, range);
  return number;
}

// 5.0 is an integer, as JSON knows only numbers.
std::int64_t read_integer(const json::value& value, const Path& path, const FieldSpec& spec) {
  if (!value.is_number()) fail_type(value, path, "an integer");
  const double number = value.to_number<double>();
  check_range(number, path, spec);
  if (number != std::floor(number)) fail_at(path, fmt::format("must be an integer, not {}", number));
  return static_cast<std::int64_t>(number);
}

std::string read_string(const json::value& value, const Path& path, const FieldSpec& spec) {
  if (!value.is_string()) fail_type(value, path, "a string");
  const std::string_view text(value.get_string());
  if (!spec.choices.empty() && std::ranges::find(spec.choices, text) == spec.choices.end())
    fail_at(path, fmt::format("must be one of {}", fmt::join(spec.choices, ", ")));
  return std::string(text);
}

bool read_bool(const json::value& value, const Path& path) {
  if (!value.is_bool()) fail_type(value, path, "true or false");
  return value.get_bool();
}

const json::array& read_array(const json::value& value, const Path& path, const FieldSpec& spec) {
  if (!value.is_array()) fail_type(value, path, "a list");
  const json::array& items = value.get_array();
  if (items.empty() && spec.required) fail_at(path, "must not be empty");
  if (items.size() > spec.max_items) fail_at(path, fmt::format("has more than {} items", spec.max_items));
  return items;
}

json::object schema_of(std::string_view type, const FieldSpec& spec) {
  json::object schema;
  if (!type.empty()) schema["type"] = type;
  if (!spec.about.empty()) schema["description"] = spec.about;
  if (spec.min) schema["minimum"] = *spec.min;
  if (spec.max) schema["maximum"] = *spec.max;
  if (!spec.choices.empty()) {
    json::array names;
    for (const std::string_view choice : spec.choices) names.push_back(json::value(choice));
    schema["enum"] = std::move(names);
  }
  return schema;
}

json::object or_null(json::object schema) {
  if (json::value* type = schema.if_contains("type")) *type = json::array{*type, "null"};
  if (json::value* names = schema.if_contains("enum")) names->as_array().push_back(nullptr);
  if (json::value* kinds = schema.if_contains("oneOf"))
    kinds->as_array().push_back(json::object{{"type", "null"}});
  return schema;
}

json::object but_null(json::object schema) {
  if (!schema.contains("type") && !schema.contains("oneOf"))
    schema["type"] = {"boolean", "number", "string", "array", "object"};
  return schema;
}

json::value shown(float number) { return std::strtod(fmt::format("{}", number).c_str(), nullptr); }

void fail_missing(const Path& path) { fail_at(path, "is required"); }

}  // namespace medlar::server::form_detail
