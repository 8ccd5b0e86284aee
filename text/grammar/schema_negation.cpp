// What a schema does not allow, by De Morgan's laws: a union with something for every keyword.
#include <algorithm>

#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_shape.h"
#include "text/grammar/schema_texts.h"

namespace medlar::grammar {
namespace {

constexpr std::size_t kMaxExcludedNumbers = 16;

Shape of_types(std::uint8_t types, const Json& origin) {
  Shape s;
  s.types = types;
  s.origin = &origin;
  return s;
}

}  // namespace

Shapes::Union Shapes::negate(const Json& schema, int depth) {
  Union result;
  for (std::size_t i = 0; i < schema.keys.size(); ++i)
    append(result, negate_keyword(schema, schema.keys[i], schema.items[i], depth));
  return result;
}

Shapes::Union Shapes::negate_keyword(const Json& schema, std::string_view key, const Json& value, int depth) {
  const Keyword kind = keyword(key);
  if (kind == Keyword::annotation) return {};
  if (key == "type") {
    const auto others = static_cast<std::uint8_t>(kAnyType & ~read_types(document_, schema, value));
    return others ? Union{of_types(others, schema)} : Union{};
  }
  if (key == "const") return negate_values(schema, {&value});
  if (key == "enum" && value.is(Json::Kind::array)) {
    std::vector<const Json*> values;
    for (const Json& v : value.items) values.push_back(&v);
    return negate_values(schema, values);
  }
  if (key.starts_with("min") || key.starts_with("max") || key.starts_with("exclusive"))
    return negate_count(schema, key);
  if (key == "pattern" && value.is(Json::Kind::string)) {
    Shape s = of_types(kString, schema);
    s.patterns.push_back(
        std::make_shared<const Dfa>(pattern(schema, key, value.text, Match::anywhere)->complement()));
    return {s};
  }
  if (key == "not") return expand({&value, false}, depth + 1);
  if (key == "$ref") return expand({&document_.resolve(schema, value.text), true}, depth + 1);
  if (key == "allOf" || key == "anyOf") {
    Union all(key == "anyOf" ? 1 : 0);
    for (const Json& item : value.items) {
      Union one = expand({&item, true}, depth + 1);
      key == "anyOf" ? void(all = join(all, one, depth)) : append(all, std::move(one));
    }
    return all;
  }
  return negate_object(schema, key, value);
}

Shapes::Union Shapes::negate_object(const Json& schema, std::string_view key, const Json& value) {
  Union result;
  const bool array_alone = !schema.find("minContains") && !schema.find("maxContains");
  if (key == "required") {
    for (const Json& name : value.items) {
      Shape s = of_types(kObject, schema);
      add_literal(s.property_conditions[name.text], never());
      result.push_back(std::move(s));
    }
    return result;
  }
  if (key == "properties") {
    for (std::size_t i = 0; i < value.keys.size(); ++i) {
      Shape s = of_types(kObject, schema);
      s.required.push_back(value.keys[i]);
      add_literal(s.property_conditions[value.keys[i]], {&value.items[i], true});
      result.push_back(std::move(s));
    }
    return result;
  }
  if (key == "items" && !schema.find("prefixItems")) {
    Shape s = of_types(kArray, schema);
    s.contains.push_back({.item = {&value, true}, .schema = &schema});
    return {s};
  }
  if (key == "contains" && array_alone) {
    Shape s = of_types(kArray, schema);
    s.every_item.push_back({&value, true});
    return {s};
  }
  const bool nothing = (key == "uniqueItems" || key == "additionalProperties") &&
                       value.is(Json::Kind::boolean) && value.boolean != (key == "uniqueItems");
  if (nothing || ((key == "then" || key == "else") && !schema.find("if"))) return {};
  document_.fail(
      ErrorKind::unsupported, schema, key,
      "this keyword is not supported where a schema must not hold (in \"not\", \"if\" or \"oneOf\")",
      "say what is allowed instead");
}

Shapes::Union Shapes::negate_count(const Json& schema, std::string_view key) {
  if (key.ends_with("imum")) {
    Shape s = of_types(kInteger | kFraction, schema);
    Bound bound = read_bound(document_, schema, key);
    constexpr Relation kOpposite[] = {Relation::greater_equal, Relation::greater, Relation::less,
                                      Relation::less_equal};
    bound.relation = kOpposite[static_cast<std::size_t>(bound.relation)];
    s.bounds.push_back(bound);
    return {s};
  }
  if (key.ends_with("Contains")) {
    if (!schema.find("contains")) return {};
    document_.fail(ErrorKind::unsupported, schema, key,
                   "this keyword is not supported where a schema must not hold",
                   "say what is allowed instead");
  }
  const std::uint32_t count = read_count(document_, schema, key);
  const bool least = key.starts_with("min");
  if (least ? count == 0 : count == kUnbounded) return {};
  Shape s = of_types(key.ends_with("Length") ? kString : key.ends_with("Items") ? kArray : kObject, schema);
  const auto set = [&](std::uint32_t& min, std::uint32_t& max) {
    if (least) {
      max = count - 1;
    } else {
      min = count + 1;
    }
  };
  if (s.types == kString) set(s.min_length, s.max_length);
  if (s.types == kArray) set(s.min_items, s.max_items);
  if (s.types == kObject) set(s.min_properties, s.max_properties);
  return {s};
}

Shapes::Union Shapes::negate_values(const Json& schema, const std::vector<const Json*>& values) {
  std::vector<std::u32string> words;
  std::vector<const Json*> numbers;
  bool null = false, no[2] = {false, false}, empty_array = false, empty_object = false;
  for (const Json* v : values) {
    switch (v->kind) {
      case Json::Kind::null:
        null = true;
        break;
      case Json::Kind::boolean:
        no[v->boolean] = true;
        break;
      case Json::Kind::number:
        numbers.push_back(v);
        break;
      case Json::Kind::string:
        words.push_back(characters(v->text));
        break;
      default:
        if (!v->items.empty())
          document_.fail(ErrorKind::unsupported, schema, schema.find("const") ? "const" : "enum",
                         "arrays and objects are not supported where a value must not be equal",
                         "say what is allowed instead");
        (v->is(Json::Kind::array) ? empty_array : empty_object) = true;
    }
  }
  for (const Json* v : numbers)
    if (numbers.size() > kMaxExcludedNumbers || !Decimal(v->text).safe_as_double())
      document_.fail(
          ErrorKind::unsupported, schema, schema.find("const") ? "const" : "enum",
          fmt::format("more than {} numbers, or numbers of more than 15 digits, are not supported where a "
                      "value must not be equal",
                      kMaxExcludedNumbers),
          "say what is allowed instead");
  std::uint8_t left = kAnyType;
  if (null) left &= static_cast<std::uint8_t>(~kNull);
  if (no[0] || no[1]) left &= static_cast<std::uint8_t>(~kBoolean);
  if (!words.empty()) left &= static_cast<std::uint8_t>(~kString);
  if (!numbers.empty()) left &= static_cast<std::uint8_t>(~(kInteger | kFraction));
  if (empty_array) left &= static_cast<std::uint8_t>(~kArray);
  if (empty_object) left &= static_cast<std::uint8_t>(~kObject);
  Union result;
  if (left) result.push_back(of_types(left, schema));
  if (no[0] != no[1]) {
    result.push_back(of_types(kBoolean, schema));
    result.back().values = {no[0] ? &true_ : &never_};
  }
  if (!words.empty()) {
    result.push_back(of_types(kString, schema));
    result.back().patterns.push_back(std::make_shared<const Dfa>(Dfa::words(words).complement()));
  }
  if (empty_array) result.push_back(of_types(kArray, schema)), result.back().min_items = 1;
  if (empty_object) result.push_back(of_types(kObject, schema)), result.back().min_properties = 1;
  if (numbers.empty()) return result;
  // Below or above each of them.
  Union other{of_types(kInteger | kFraction, schema)};
  for (const Json* v : numbers) {
    Union sides(2, of_types(kInteger | kFraction, schema));
    sides[0].bounds.push_back({Relation::less, Decimal(v->text)});
    sides[1].bounds.push_back({Relation::greater, Decimal(v->text)});
    other = join(other, sides, 0);
  }
  append(result, std::move(other));
  return result;
}

}  // namespace medlar::grammar
