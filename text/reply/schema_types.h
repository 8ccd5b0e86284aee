// Which JSON types a tool's schema allows for a parameter, and text turned into a value of them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "text/reply/reply.h"

namespace medlar::reply {

struct Types {
  enum : std::uint8_t { null = 1, boolean = 2, number = 4, text = 8, array = 16, object = 32, any = 63 };
  std::uint8_t bits = any;

  bool allows(std::uint8_t type) const { return (bits & type) != 0; }
  // Whether a value is text whatever it looks like.
  bool only_text() const { return (bits & ~null) == text; }
};

// The tool of this name; null where there is none.
const Tool* find_tool(std::span<const Tool> tools, std::string_view name);

// Everything is allowed where the schema does not say. `tool` may be null.
Types parameter_types(const Tool* tool, std::string_view parameter);

// What a schema allows, by its type, enum, const, anyOf, oneOf, allOf and local $ref. `root` resolves
// references.
Types schema_types(const boost::json::value& schema, const boost::json::value& root);

// What a schema's local $ref leads to; the schema itself where it has none.
const boost::json::value& resolved(const boost::json::value& schema, const boost::json::value& root);

// A parameter's value as a model wrote it between two tags, as JSON: a literal of a type that is allowed, or
// else a string.
std::string value_json(std::string_view text, Types types, int max_depth);

}  // namespace medlar::reply
