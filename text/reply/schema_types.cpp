#include "text/reply/schema_types.h"

#include <boost/json/value.hpp>

#include "text/reply/json_text.h"
#include "text/reply/pattern.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {
namespace {

namespace json = boost::json;

constexpr int kSchemaDepth = 16;

std::uint8_t named_type(std::string_view name) {
  if (name == "string") return Types::text;
  if (name == "number" || name == "integer") return Types::number;
  if (name == "boolean") return Types::boolean;
  if (name == "null") return Types::null;
  if (name == "array") return Types::array;
  if (name == "object") return Types::object;
  return Types::any;
}

std::uint8_t type_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return Types::null;
    case json::kind::bool_:
      return Types::boolean;
    case json::kind::string:
      return Types::text;
    case json::kind::array:
      return Types::array;
    case json::kind::object:
      return Types::object;
    default:
      return Types::number;
  }
}

std::uint8_t type_of(std::string_view literal) {
  switch (literal.front()) {
    case '{':
      return Types::object;
    case '[':
      return Types::array;
    case '"':
      return Types::text;
    case 't':
    case 'f':
      return Types::boolean;
    case 'n':
      return Types::null;
    default:
      return Types::number;
  }
}

std::uint8_t allowed(const json::value& schema, const json::value& root, int depth);

template <class List>
std::uint8_t any_of(const List& list, auto&& bits_of) {
  std::uint8_t bits = 0;
  for (const json::value& item : list) bits |= bits_of(item);
  return bits == 0 ? static_cast<std::uint8_t>(Types::any) : bits;
}

std::uint8_t allowed(const json::value& schema, const json::value& root, int depth) {
  const json::object* object = schema.if_object();
  if (object == nullptr || depth == 0) return Types::any;
  std::uint8_t bits = Types::any;
  if (const json::value* ref = object->if_contains("$ref"); ref != nullptr && ref->is_string()) {
    const json::string& path = ref->get_string();
    boost::system::error_code none;
    const json::value* target = path.starts_with('#') ? root.find_pointer(path.subview(1), none) : nullptr;
    if (target != nullptr) bits &= allowed(*target, root, depth - 1);
  }
  if (const json::value* type = object->if_contains("type")) {
    if (type->is_string()) bits &= named_type(type->get_string());
    if (type->is_array()) {
      bits &= any_of(type->get_array(), [](const json::value& item) -> std::uint8_t {
        return item.is_string() ? named_type(item.get_string()) : static_cast<std::uint8_t>(Types::any);
      });
    }
  }
  if (const json::value* list = object->if_contains("enum"); list != nullptr && list->is_array()) {
    bits &= any_of(list->get_array(), [](const json::value& item) { return type_of(item); });
  }
  if (const json::value* value = object->if_contains("const")) bits &= type_of(*value);
  for (const char* key : {"anyOf", "oneOf"}) {
    const json::value* list = object->if_contains(key);
    if (list == nullptr || !list->is_array()) continue;
    bits &=
        any_of(list->get_array(), [&](const json::value& item) { return allowed(item, root, depth - 1); });
  }
  const json::value* nullable = object->if_contains("nullable");
  if (nullable != nullptr && nullable->is_bool() && nullable->get_bool()) bits |= Types::null;
  return bits == 0 ? static_cast<std::uint8_t>(Types::any) : bits;
}

// Python's True, None, ['a'] as JSON; empty where the text is no such literal.
std::string python_literal(std::string_view text, int max_depth) {
  ValueReader reader(Notation::keywords, {}, max_depth);
  std::string out;
  const std::size_t end = reader.feed(text, out);
  return reader.finish(out) == ValueReader::State::done && end == text.size() ? out : std::string();
}

}  // namespace

const Tool* find_tool(std::span<const Tool> tools, std::string_view name) {
  for (const Tool& tool : tools) {
    if (tool.name == name) return &tool;
  }
  return nullptr;
}

Types schema_types(const json::value& schema, const json::value& root) {
  return {allowed(schema, root, kSchemaDepth)};
}

Types parameter_types(const Tool* tool, std::string_view parameter) {
  if (tool == nullptr || !tool->parameters.is_object()) return {};
  const json::value* properties = tool->parameters.get_object().if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return {};
  const json::value* schema = properties->get_object().if_contains(parameter);
  return schema == nullptr ? Types{} : schema_types(*schema, tool->parameters);
}

std::string value_json(std::string_view text, Types types, int max_depth) {
  const std::string_view bare = trim(text);
  if (types.bits == Types::text || bare.empty() || bare.front() == '"') return quoted(text);
  std::string literal = is_json(bare, max_depth) ? std::string(bare) : python_literal(bare, max_depth);
  if (literal.empty() || literal.front() == '"') return quoted(text);
  const std::uint8_t type = type_of(literal);
  return types.allows(type) || !types.allows(Types::text) ? literal : quoted(text);
}

}  // namespace medlar::reply
