// The simple keywords: each narrows a shape by itself.
#pragma once

#include <string_view>

#include "text/grammar/schema_shape.h"

namespace medlar::grammar {

// What a keyword of a schema is to this compiler.
enum class Keyword {
  annotation,  // says nothing about which values are allowed
  simple,      // read_simple
  combined,    // Shapes works it out together with others
  unknown,
};
Keyword keyword(std::string_view key);

// Narrows `shape` by one simple keyword. Throws Error naming it when it makes no sense or is not supported.
void read_simple(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape);

// The regular expression for the value of "format"; empty for one that is not known.
std::string_view format_pattern(std::string_view name);

// The types that "type" names, as bits.
std::uint8_t read_types(const SchemaDocument& document, const Json& schema, const Json& value);
// The value of a keyword as a count.
std::uint32_t read_count(const SchemaDocument& document, const Json& schema, std::string_view key);
Bound read_bound(const SchemaDocument& document, const Json& schema, std::string_view key);

}  // namespace medlar::grammar
