// Disjunctive normal form, keyword by keyword. Every budget counts shapes, so that nested choices end in an
// error.
#include "text/grammar/schema_shape.h"

#include <algorithm>

#include "text/grammar/regex.h"
#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_texts.h"

namespace medlar::grammar {
namespace {

constexpr int kMaxDepth = 64;  // of keywords that hold schemas for the same value, and of references
constexpr std::size_t kMaxShapes = 2000;  // of one union
constexpr std::size_t kMaxWork = 300'000;
constexpr int kMaxLook = 8;  // levels of properties looked at to tell shapes apart

std::uint8_t type_of(const Json& value) {
  switch (value.kind) {
    case Json::Kind::null:
      return kNull;
    case Json::Kind::boolean:
      return kBoolean;
    case Json::Kind::number:
      return Decimal(value.text).integer() ? kInteger : kFraction;
    case Json::Kind::string:
      return kString;
    case Json::Kind::array:
      return kArray;
    case Json::Kind::object:
      return kObject;
  }
  return 0;
}

template <class T>
void concat(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void add_literal(Conjunction& all, Literal literal) {
  const auto place = std::ranges::lower_bound(all, literal);
  if (place == all.end() || *place != literal) all.insert(place, literal);
}

void keep_values(Shape& shape, const std::vector<const Json*>& values) {
  if (!shape.values) {
    shape.values = values;
    return;
  }
  std::erase_if(*shape.values, [&](const Json* v) {
    return std::ranges::none_of(values, [&](const Json* other) { return equal(*v, *other); });
  });
}

void Shapes::append(Union& to, Union from) {
  for (Shape& s : from) to.push_back(std::move(s));
}

std::vector<Shape> Shapes::of(const Conjunction& all) {
  Union result(1);
  for (const Literal& literal : all) result = join(result, expand(literal, 0), 0);
  return result;
}

Shapes::Union Shapes::expand(Literal literal, int depth) {
  const Json& schema = *literal.schema;
  if (depth > kMaxDepth)
    document_.fail(ErrorKind::limit, schema, "", "conditions are nested too deep, or refer to themselves",
                   "let references lead through \"properties\" or \"items\"");
  if (schema.is(Json::Kind::boolean)) {
    Union any(schema.boolean != literal.negated ? 1 : 0);
    for (Shape& s : any) s.origin = &schema;
    return any;
  }
  if (!schema.is(Json::Kind::object))
    document_.fail(ErrorKind::usage, schema, "", "a schema must be an object, true or false");
  return literal.negated ? negate(schema, depth) : expand_keywords(schema, depth);
}

Shapes::Union Shapes::expand_keywords(const Json& schema, int depth) {
  Shape base;
  base.origin = &schema;
  for (std::size_t i = 0; i < schema.keys.size(); ++i) {
    const std::string& key = schema.keys[i];
    const Keyword kind = keyword(key);
    if (kind == Keyword::unknown)
      document_.fail(ErrorKind::unsupported, schema, key, "this keyword is not supported",
                     "leave it out and check the answer afterwards");
    if (kind != Keyword::simple) continue;
    read_simple(document_, schema, key, base);
    if (key == "pattern")
      base.patterns.push_back(pattern(schema, key, schema.items[i].text, Match::anywhere));
    if (key == "format") {
      const std::string_view known = format_pattern(schema.items[i].text);
      if (known.empty())
        document_.fail(ErrorKind::unsupported, schema, key,
                       fmt::format("the format \"{}\" is not supported", schema.items[i].text),
                       "known are date, time, date-time, duration, uuid, email, hostname, ipv4 and ipv6");
      base.patterns.push_back(pattern(schema, key, std::string(known), Match::whole));
    }
  }
  Union result{std::move(base)};
  for (std::size_t i = 0; i < schema.keys.size(); ++i) {
    const std::string_view key = schema.keys[i];
    const Json& value = schema.items[i];
    if (key == "$ref") {
      if (!value.is(Json::Kind::string)) document_.fail(ErrorKind::usage, schema, key, "must be a string");
      result = join(result, expand({&document_.resolve(schema, value.text), false}, depth + 1), depth);
    } else if (key == "not") {
      result = join(result, expand({&value, true}, depth + 1), depth);
    } else if (key == "if") {
      result = join(result, condition(schema, depth), depth);
    } else if (key == "allOf" || key == "anyOf" || key == "oneOf") {
      if (!value.is(Json::Kind::array) || value.items.empty())
        document_.fail(ErrorKind::usage, schema, key, "must be an array with at least one schema");
      if (key == "oneOf") {
        result = join(result, one_of(schema, value, depth), depth);
        continue;
      }
      Union any;
      for (const Json& item : value.items) {
        Union one = expand({&item, false}, depth + 1);
        key == "allOf" ? void(result = join(result, one, depth)) : append(any, std::move(one));
      }
      if (key == "anyOf") result = join(result, any, depth);
    }
  }
  if (schema.find("dependentRequired") || schema.find("dependentSchemas"))
    result = join(result, dependencies(schema, depth), depth);
  return result;
}

// Exactly one option: either no two can hold at once, or each is taken without the others.
Shapes::Union Shapes::one_of(const Json& schema, const Json& options, int depth) {
  std::vector<Union> each;
  for (const Json& option : options.items) each.push_back(expand({&option, false}, depth + 1));
  bool disjoint = true;
  for (std::size_t i = 0; i < each.size() && disjoint; ++i)
    for (std::size_t j = i + 1; j < each.size() && disjoint; ++j)
      disjoint = join(each[i], each[j], depth).empty();
  Union result;
  for (std::size_t i = 0; i < each.size(); ++i) {
    Union one = each[i];
    try {
      for (std::size_t j = 0; j < each.size() && !disjoint; ++j)
        if (j != i) one = join(one, expand({&options.items[j], true}, depth + 1), depth);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::unsupported) throw;
      document_.fail(ErrorKind::unsupported, schema, "oneOf",
                     "two of the options may hold at once, and that cannot be excluded",
                     "use \"anyOf\", or a property with a different \"const\" in each option");
    }
    append(result, std::move(one));
  }
  return result;
}

Shapes::Union Shapes::condition(const Json& schema, int depth) {
  const Json& test = *schema.find("if");
  const auto branch = [&](bool negated, std::string_view key) {
    const Json* then = schema.find(key);
    if (!then) return expand({&test, negated}, depth + 1);
    return join(expand({&test, negated}, depth + 1), expand({then, false}, depth + 1), depth);
  };
  if (!schema.find("then") && !schema.find("else")) return Union(1);
  Union result = schema.find("then") || schema.find("else") ? branch(false, "then") : Union(1);
  append(result, branch(true, "else"));
  return result;
}

// Either the property is absent, or it is there with all that it asks for.
Shapes::Union Shapes::dependencies(const Json& schema, int depth) {
  Union result(1);
  for (const std::string_view key : {"dependentRequired", "dependentSchemas"}) {
    const Json* all = schema.find(key);
    if (!all) continue;
    if (!all->is(Json::Kind::object)) document_.fail(ErrorKind::usage, schema, key, "must be an object");
    for (std::size_t i = 0; i < all->keys.size(); ++i) {
      Shape absent, present;
      absent.origin = present.origin = &schema;
      add_literal(absent.property_conditions[all->keys[i]], never());
      present.types = kObject;
      // What is asked for comes first: a list of properties usually grows at its end.
      if (key == "dependentRequired") {
        if (!all->items[i].is(Json::Kind::array))
          document_.fail(ErrorKind::usage, schema, key, "must hold arrays of names");
        for (const Json& name : all->items[i].items) present.required.push_back(name.text);
      }
      if (std::ranges::find(present.required, all->keys[i]) == present.required.end())
        present.required.push_back(all->keys[i]);
      Union with{present};
      if (key == "dependentSchemas") with = join(with, expand({&all->items[i], false}, depth + 1), depth);
      with.push_back(std::move(absent));
      result = join(result, with, depth);
    }
  }
  return result;
}

const std::shared_ptr<const Dfa>& Shapes::pattern(const Json& schema, std::string_view key,
                                                  const std::string& text, Match match) {
  auto& known = patterns_[{text, match}];
  if (known) return known;
  try {
    known = std::make_shared<const Dfa>(regex_dfa(text, match));
  } catch (const Error& error) {
    document_.fail(error.kind(), schema, key, error.what(), error.hint());
  }
  return known;
}

Shapes::Union Shapes::join(const Union& a, const Union& b, int depth) {
  Union result;
  for (const Shape& x : a) {
    for (const Shape& y : b) {
      if (++work_ > kMaxWork || result.size() >= kMaxShapes)
        throw Error(ErrorKind::limit, "JSON schema: its conditions combine in too many ways",
                    "use fewer nested \"anyOf\", \"oneOf\" or \"if\"");
      if (auto both = meet(x, y, depth)) result.push_back(std::move(*both));
    }
  }
  return result;
}

std::optional<Shape> Shapes::meet(const Shape& a, const Shape& b, int depth) {
  Shape s = a;
  s.types &= b.types;
  if (b.values) keep_values(s, *b.values);
  concat(s.bounds, b.bounds);
  concat(s.multiples, b.multiples);
  s.min_length = std::max(s.min_length, b.min_length), s.max_length = std::min(s.max_length, b.max_length);
  concat(s.patterns, b.patterns);
  s.min_items = std::max(s.min_items, b.min_items), s.max_items = std::min(s.max_items, b.max_items);
  s.unique_items |= b.unique_items;
  concat(s.array_schemas, b.array_schemas);
  concat(s.contains, b.contains);
  concat(s.every_item, b.every_item);
  s.min_properties = std::max(s.min_properties, b.min_properties);
  s.max_properties = std::min(s.max_properties, b.max_properties);
  for (const std::string& name : b.required)
    if (std::ranges::find(s.required, name) == s.required.end()) s.required.push_back(name);
  concat(s.object_schemas, b.object_schemas);
  concat(s.property_names, b.property_names);
  for (const auto& [name, all] : b.property_conditions)
    for (const Literal& l : all) add_literal(s.property_conditions[name], l);
  if (!s.origin) s.origin = b.origin;
  if (impossible(s, depth)) return std::nullopt;
  return s;
}

// Takes away types for which nothing is left.
bool Shapes::impossible(Shape& s, int depth) {
  const auto without = [&](std::uint8_t types) { s.types &= static_cast<std::uint8_t>(~types); };
  if (s.min_length > s.max_length) without(kString);
  if (s.min_items > s.max_items) without(kArray);
  if (s.min_properties > s.max_properties) without(kObject);
  if ((s.types & kString) && s.patterns.size() > 1 && string_texts(s).empty()) without(kString);
  if ((s.types & kInteger) && s.bounds.size() > 1 && integer_texts(s).empty()) without(kInteger);
  if ((s.types & kFraction) && s.bounds.size() > 1 && fraction_texts(s).empty()) without(kFraction);
  if (s.values) {
    std::erase_if(*s.values, [&](const Json* v) { return !fits(s, *v); });
    if (s.values->empty()) return true;
  }
  if ((s.types & kObject) && depth < kMaxLook) {
    for (const std::string& name : s.required) {
      Conjunction all;
      for (const Json* schema : s.object_schemas)
        if (const Json* properties = schema->find("properties"))
          if (const Json* property = properties->find(name)) add_literal(all, {property, false});
      if (const auto it = s.property_conditions.find(name); it != s.property_conditions.end())
        for (const Literal& l : it->second) add_literal(all, l);
      const bool single = all.size() < 2 && !(all.size() == 1 && all[0] == never());
      if (single) continue;
      Union possible(1);
      for (const Literal& l : all) possible = join(possible, expand(l, depth + 1), depth + 1);
      if (possible.empty()) without(kObject);
    }
  }
  return s.types == 0;
}

// Whether a listed value meets the other conditions.
bool Shapes::fits(const Shape& s, const Json& value) const {
  const std::uint8_t type = type_of(value);
  if (!(s.types & type)) return false;
  if (type == kString) {
    const std::u32string text = characters(value.text);
    return text.size() >= s.min_length && text.size() <= s.max_length &&
           std::ranges::all_of(s.patterns, [&](const auto& p) { return p->accepts(text); });
  }
  if (type == kInteger || type == kFraction) {
    const std::u32string text = characters(Decimal(value.text).plain());
    return std::ranges::all_of(s.bounds,
                               [&](const Bound& b) { return compared(b.relation, b.value).accepts(text); }) &&
           std::ranges::all_of(s.multiples, [&](std::uint32_t n) { return multiples(n).accepts(text); });
  }
  const bool array_conditions =
      !s.array_schemas.empty() || !s.contains.empty() || !s.every_item.empty() || s.unique_items;
  const bool object_conditions = !s.object_schemas.empty() || !s.property_names.empty() ||
                                 !s.property_conditions.empty() || !s.required.empty();
  if ((type == kArray && array_conditions) || (type == kObject && object_conditions))
    document_.fail(ErrorKind::unsupported, *s.origin, "",
                   "a listed array or object stands beside other conditions for it",
                   "list only the values that meet them");
  const auto n = value.items.size();
  return (type != kArray || (n >= s.min_items && n <= s.max_items)) &&
         (type != kObject || (n >= s.min_properties && n <= s.max_properties));
}

}  // namespace medlar::grammar
