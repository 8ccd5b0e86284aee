// A schema as a union of shapes: what is left of it when "anyOf", "allOf", "$ref" and their kin are worked
// out.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/decimal.h"
#include "text/grammar/dfa.h"
#include "text/grammar/regex.h"
#include "text/grammar/schema_document.h"

namespace medlar::grammar {

// A schema, or what it does not allow.
struct Literal {
  const Json* schema = nullptr;
  bool negated = false;
  auto operator<=>(const Literal&) const = default;
};
// All of these hold. Sorted, none twice; empty: anything goes.
using Conjunction = std::vector<Literal>;

// Kinds of values, as bits.
enum Type : std::uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,  // numbers that are no integers
  kString = 16,
  kArray = 32,
  kObject = 64,
  kAnyType = 127,
};

struct Bound {
  Relation relation = Relation::less;
  Decimal value;
};

// A conjunction of simple conditions.
struct Shape {
  std::uint8_t types = kAnyType;
  std::optional<std::vector<const Json*>> values;  // one of these

  std::vector<Bound> bounds;
  std::vector<std::uint32_t> multiples;

  std::uint32_t min_length = 0, max_length = kUnbounded;  // characters
  std::vector<std::shared_ptr<const Dfa>> patterns;

  std::uint32_t min_items = 0, max_items = kUnbounded;
  bool unique_items = false;
  std::vector<const Json*> array_schemas;  // with "items" or "prefixItems"
  struct Contains {
    Literal item;
    std::uint32_t min = 1, max = kUnbounded;
    const Json* schema = nullptr;  // for messages
  };
  std::vector<Contains> contains;
  std::vector<Literal> every_item;

  std::uint32_t min_properties = 0, max_properties = kUnbounded;
  std::vector<std::string> required;
  std::vector<const Json*>
      object_schemas;  // with "properties", "patternProperties" or "additionalProperties"
  std::vector<Literal> property_names;
  std::map<std::string, Conjunction> property_conditions;  // beyond those of object_schemas

  const Json* origin = nullptr;  // some schema that it comes from, for messages
};

// Works out schemas. Members throw Error naming a keyword's pointer when they cannot do it exactly.
class Shapes {
 public:
  explicit Shapes(const SchemaDocument& document) : document_(document) {}

  // The union that a conjunction stands for.
  std::vector<Shape> of(const Conjunction& all);

  // The schema `false`.
  Literal never() const { return {&never_, false}; }

 private:
  using Union = std::vector<Shape>;

  Union expand(Literal literal, int depth);
  Union expand_keywords(const Json& schema, int depth);
  Union one_of(const Json& schema, const Json& options, int depth);
  Union condition(const Json& schema, int depth);
  Union dependencies(const Json& schema, int depth);
  Union negate_keyword(const Json& schema, std::string_view key, const Json& value, int depth);
  Union negate_count(const Json& schema, std::string_view key);
  Union negate_object(const Json& schema, std::string_view key, const Json& value);
  Union negate(const Json& schema, int depth);
  Union negate_values(const Json& schema, const std::vector<const Json*>& values);
  Union join(const Union& a, const Union& b, int depth);
  std::optional<Shape> meet(const Shape& a, const Shape& b, int depth);
  bool impossible(Shape& shape, int depth);
  bool fits(const Shape& shape, const Json& value) const;
  const std::shared_ptr<const Dfa>& pattern(const Json& schema, std::string_view key, const std::string& text,
                                            Match match);
  static void append(Union& to, Union from);

  const SchemaDocument& document_;
  const Json never_{.kind = Json::Kind::boolean, .boolean = false, .text = {}, .items = {}, .keys = {}};
  const Json true_{.kind = Json::Kind::boolean, .boolean = true, .text = {}, .items = {}, .keys = {}};
  std::map<std::pair<std::string, Match>, std::shared_ptr<const Dfa>> patterns_;
  std::size_t work_ = 0;
};

void add_literal(Conjunction& all, Literal literal);
// The values must be among these too.
void keep_values(Shape& shape, const std::vector<const Json*>& values);

}  // namespace medlar::grammar
