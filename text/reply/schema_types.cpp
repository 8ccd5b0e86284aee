// A walk through the schema with a budget of steps, and the literals that text may spell.
#include "text/reply/schema_types.h"

#include <boost/json/value.hpp>

#include "text/reply/json_text.h"
#include "text/reply/pattern.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {
namespace {

namespace json = boost::json;

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

// What the schema's $ref points to within `root`; null where there is none.
const json::value* referred(const json::object& schema, const json::value& root) {
  const json::value* ref = schema.if_contains("$ref");
  if (ref == nullptr || !ref->is_string() || !ref->get_string().starts_with('#')) return nullptr;
  boost::system::error_code none;
  return root.find_pointer(ref->get_string().subview(1), none);
}

// Follows a schema no further than a number of steps: references may go in circles.
class Walk {
 public:
  explicit Walk(const json::value& root) : root_(root) {}

  std::uint8_t allowed(const json::value& schema) {
    const json::object* object = schema.if_object();
    if (object == nullptr || --steps_ < 0) return Types::any;
    std::uint8_t bits = Types::any;
    if (const json::value* target = referred(*object, root_)) bits &= allowed(*target);
    if (const json::value* type = object->if_contains("type")) {
      bits &= type->is_array() ? any_of(type->get_array(), stated_type) : stated_type(*type);
    }
    if (const json::array* list = list_at(*object, "enum")) {
      bits &= any_of(*list, [](const json::value& item) { return type_of(item); });
    }
    if (const json::value* value = object->if_contains("const")) bits &= type_of(*value);
    const auto of_schema = [&](const json::value& item) { return allowed(item); };
    for (const char* key : {"anyOf", "oneOf"}) {
      if (const json::array* list = list_at(*object, key)) bits &= any_of(*list, of_schema);
    }
    if (const json::array* list = list_at(*object, "allOf")) {
      for (const json::value& item : *list) bits &= allowed(item);
    }
    const json::value* nullable = object->if_contains("nullable");
    if (nullable != nullptr && *nullable == true) bits |= Types::null;
    return bits == 0 ? static_cast<std::uint8_t>(Types::any) : bits;
  }

 private:
  static const json::array* list_at(const json::object& object, std::string_view key) {
    const json::value* list = object.if_contains(key);
    return list == nullptr ? nullptr : list->if_array();
  }

  static std::uint8_t stated_type(const json::value& name) {
    return name.is_string() ? named_type(name.get_string()) : static_cast<std::uint8_t>(Types::any);
  }

  template <class BitsOf>
  static std::uint8_t any_of(const json::array& list, BitsOf bits_of) {
    std::uint8_t bits = 0;
    for (const json::value& item : list) bits |= bits_of(item);
    return bits == 0 ? static_cast<std::uint8_t>(Types::any) : bits;
  }

  const json::value& root_;
  int steps_ = 200;
};

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
  return {Walk(root).allowed(schema)};
}

const json::value& resolved(const json::value& schema, const json::value& root) {
  constexpr int kLongestChain = 16;
  const json::value* at = &schema;
  for (int i = 0; i < kLongestChain && at->is_object(); ++i) {
    const json::value* target = referred(at->get_object(), root);
    if (target == nullptr) break;
    at = target;
  }
  return *at;
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
