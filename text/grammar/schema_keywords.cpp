// One table of keywords, and the regular expressions of formats.
#include "text/grammar/schema_keywords.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace medlar::grammar {
namespace {

struct KnownKeyword {
  std::string_view name;
  Keyword kind;
};
constexpr std::array kKeywords = {
    KnownKeyword{"$anchor", Keyword::annotation},
    KnownKeyword{"$comment", Keyword::annotation},
    KnownKeyword{"$defs", Keyword::annotation},
    KnownKeyword{"$dynamicAnchor", Keyword::annotation},
    KnownKeyword{"$id", Keyword::annotation},
    KnownKeyword{"$ref", Keyword::combined},
    KnownKeyword{"$schema", Keyword::annotation},
    KnownKeyword{"$vocabulary", Keyword::annotation},
    KnownKeyword{"additionalProperties", Keyword::simple},
    KnownKeyword{"allOf", Keyword::combined},
    KnownKeyword{"anyOf", Keyword::combined},
    KnownKeyword{"const", Keyword::simple},
    KnownKeyword{"contains", Keyword::simple},
    KnownKeyword{"contentEncoding", Keyword::annotation},
    KnownKeyword{"contentMediaType", Keyword::annotation},
    KnownKeyword{"contentSchema", Keyword::annotation},
    KnownKeyword{"default", Keyword::annotation},
    KnownKeyword{"definitions", Keyword::annotation},
    KnownKeyword{"dependentRequired", Keyword::combined},
    KnownKeyword{"dependentSchemas", Keyword::combined},
    KnownKeyword{"deprecated", Keyword::annotation},
    KnownKeyword{"description", Keyword::annotation},
    KnownKeyword{"else", Keyword::combined},
    KnownKeyword{"enum", Keyword::simple},
    KnownKeyword{"example", Keyword::annotation},
    KnownKeyword{"examples", Keyword::annotation},
    KnownKeyword{"exclusiveMaximum", Keyword::simple},
    KnownKeyword{"exclusiveMinimum", Keyword::simple},
    KnownKeyword{"format", Keyword::simple},
    KnownKeyword{"if", Keyword::combined},
    KnownKeyword{"items", Keyword::simple},
    KnownKeyword{"maxContains", Keyword::simple},
    KnownKeyword{"maxItems", Keyword::simple},
    KnownKeyword{"maxLength", Keyword::simple},
    KnownKeyword{"maxProperties", Keyword::simple},
    KnownKeyword{"maximum", Keyword::simple},
    KnownKeyword{"minContains", Keyword::simple},
    KnownKeyword{"minItems", Keyword::simple},
    KnownKeyword{"minLength", Keyword::simple},
    KnownKeyword{"minProperties", Keyword::simple},
    KnownKeyword{"minimum", Keyword::simple},
    KnownKeyword{"multipleOf", Keyword::simple},
    KnownKeyword{"not", Keyword::combined},
    KnownKeyword{"oneOf", Keyword::combined},
    KnownKeyword{"pattern", Keyword::simple},
    KnownKeyword{"patternProperties", Keyword::simple},
    KnownKeyword{"prefixItems", Keyword::simple},
    KnownKeyword{"properties", Keyword::simple},
    KnownKeyword{"propertyNames", Keyword::simple},
    KnownKeyword{"readOnly", Keyword::annotation},
    KnownKeyword{"required", Keyword::simple},
    KnownKeyword{"then", Keyword::combined},
    KnownKeyword{"title", Keyword::annotation},
    KnownKeyword{"type", Keyword::simple},
    KnownKeyword{"uniqueItems", Keyword::simple},
    KnownKeyword{"writeOnly", Keyword::annotation},
};

constexpr std::string_view kDate =
    "(([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-"
    "9]|2["
    "0-8])))|(([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29))";
constexpr std::string_view kTime =
    "(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))";
#define MEDLAR_OCTET "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define MEDLAR_LABEL "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

}  // namespace

Keyword keyword(std::string_view key) {
  if (key.starts_with("x-")) return Keyword::annotation;
  const auto found = std::ranges::lower_bound(kKeywords, key, {}, &KnownKeyword::name);
  return found != kKeywords.end() && found->name == key ? found->kind : Keyword::unknown;
}

// RFC 3339, 4122, 5321, 2673 and 1123; the texts that all validators agree on.
std::string_view format_pattern(std::string_view name) {
  static const std::string date_time = std::string(kDate) + "[Tt]" + std::string(kTime);
  if (name == "date") return kDate;
  if (name == "time") return kTime;
  if (name == "date-time") return date_time;
  if (name == "uuid") return "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
  if (name == "ipv4") return MEDLAR_OCTET "(\\." MEDLAR_OCTET "){3}";
  if (name == "ipv6") return "[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){7}";
  if (name == "hostname") return MEDLAR_LABEL "(\\." MEDLAR_LABEL "){0,2}";
  if (name == "email")
    return "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16})?@" MEDLAR_LABEL "(\\." MEDLAR_LABEL "){1,2}";
  if (name == "duration")
    return "P([0-9]{1,6}W|[0-9]{1,6}D|([0-9]{1,6}D)?T[0-9]{1,6}([HMS]|H[0-9]{1,6}M([0-9]{1,6}S)?|M[0-9]{1,6}"
           "S))";
  return {};
}

std::uint8_t read_types(const SchemaDocument& document, const Json& schema, const Json& value) {
  if (value.is(Json::Kind::array)) {
    std::uint8_t types = 0;
    for (const Json& item : value.items) {
      if (!item.is(Json::Kind::string))
        document.fail(ErrorKind::usage, schema, "type", "is no name of a type");
      types |= read_types(document, schema, item);
    }
    return types;
  }
  struct Name {
    std::string_view name;
    std::uint8_t types;
  };
  constexpr std::array kNames = {Name{"null", kNull},       Name{"boolean", kBoolean},
                                 Name{"integer", kInteger}, Name{"number", kInteger | kFraction},
                                 Name{"string", kString},   Name{"array", kArray},
                                 Name{"object", kObject}};
  if (value.is(Json::Kind::string))
    for (const Name& n : kNames)
      if (n.name == value.text) return n.types;
  document.fail(ErrorKind::usage, schema, "type", "is no name of a type",
                "types are null, boolean, integer, number, string, array and object");
}

std::uint32_t read_count(const SchemaDocument& document, const Json& schema, std::string_view key) {
  const Json& value = *schema.find(key);
  std::uint32_t count = 0;
  if (value.is(Json::Kind::number)) {
    const Decimal number(value.text);
    const std::string digits = number.whole();
    const auto [stop, status] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (number.integer() && !number.negative()) {
      // A limit beyond what fits is as good as none above, and cannot be met below.
      return status == std::errc() && count < kUnbounded ? count : kUnbounded;
    }
  }
  document.fail(ErrorKind::usage, schema, key, "must be a whole number that is not negative");
}

Bound read_bound(const SchemaDocument& document, const Json& schema, std::string_view key) {
  const Json& value = *schema.find(key);
  if (!value.is(Json::Kind::number)) document.fail(ErrorKind::usage, schema, key, "must be a number");
  const Decimal number(value.text);
  if (!number.safe_as_double())
    document.fail(ErrorKind::unsupported, schema, key, "has more digits than can be compared exactly",
                  "use an integer, or at most 15 digits");
  const Relation relation = key == "minimum"            ? Relation::greater_equal
                            : key == "exclusiveMinimum" ? Relation::greater
                            : key == "maximum"          ? Relation::less_equal
                                                        : Relation::less;
  return {relation, number};
}

namespace {

void read_number(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape) {
  if (key != "multipleOf") {
    shape.bounds.push_back(read_bound(document, schema, key));
    return;
  }
  const Json& value = *schema.find(key);
  const Decimal number = value.is(Json::Kind::number) ? Decimal(value.text) : Decimal();
  if (number.negative() || number.zero())
    document.fail(ErrorKind::usage, schema, key, "must be a positive number");
  const std::string digits = number.whole();
  if (!number.integer() || digits.size() > 4)
    document.fail(ErrorKind::unsupported, schema, key, "can only be a whole number up to 9999",
                  "leave it out and check the answer afterwards");
  shape.multiples.push_back(static_cast<std::uint32_t>(std::stoul(digits)));
  shape.types &= static_cast<std::uint8_t>(~kFraction);  // multiples of whole numbers are whole
}

void read_string(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape) {
  const Json& value = *schema.find(key);
  if (key == "minLength") {
    shape.min_length = read_count(document, schema, key);
  } else if (key == "maxLength") {
    shape.max_length = read_count(document, schema, key);
  } else {
    // "pattern" and "format", which share their automata through Shapes.
    if (!value.is(Json::Kind::string)) document.fail(ErrorKind::usage, schema, key, "must be a string");
  }
}

void read_array(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape) {
  const Json& value = *schema.find(key);
  if (key == "minItems") {
    shape.min_items = read_count(document, schema, key);
  } else if (key == "maxItems") {
    shape.max_items = read_count(document, schema, key);
  } else if (key == "uniqueItems") {
    if (!value.is(Json::Kind::boolean)) document.fail(ErrorKind::usage, schema, key, "must be true or false");
    shape.unique_items = value.boolean;
  } else if (key == "contains") {
    Shape::Contains c{.item = {&value, false}, .schema = &schema};
    if (schema.find("minContains")) c.min = read_count(document, schema, "minContains");
    if (schema.find("maxContains")) c.max = read_count(document, schema, "maxContains");
    if (c.min > 0 || c.max != kUnbounded) shape.contains.push_back(c);
  } else if (key == "prefixItems") {
    if (!value.is(Json::Kind::array)) document.fail(ErrorKind::usage, schema, key, "must be an array");
    shape.array_schemas.push_back(&schema);
  } else if (key == "items") {
    if (value.is(Json::Kind::array))
      document.fail(ErrorKind::unsupported, schema, key, "is a list, as in older drafts",
                    "use \"prefixItems\"");
    if (!schema.find("prefixItems")) shape.array_schemas.push_back(&schema);
  }
}

void read_object(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape) {
  const Json& value = *schema.find(key);
  if (key == "minProperties") {
    shape.min_properties = read_count(document, schema, key);
  } else if (key == "maxProperties") {
    shape.max_properties = read_count(document, schema, key);
  } else if (key == "required") {
    if (!value.is(Json::Kind::array)) document.fail(ErrorKind::usage, schema, key, "must be an array");
    for (const Json& name : value.items) {
      if (!name.is(Json::Kind::string)) document.fail(ErrorKind::usage, schema, key, "must hold strings");
      if (std::ranges::find(shape.required, name.text) == shape.required.end())
        shape.required.push_back(name.text);
    }
  } else if (key == "propertyNames") {
    shape.property_names.push_back({&value, false});
  } else {
    if (key != "additionalProperties" && !value.is(Json::Kind::object))
      document.fail(ErrorKind::usage, schema, key, "must be an object");
    if (std::ranges::find(shape.object_schemas, &schema) == shape.object_schemas.end())
      shape.object_schemas.push_back(&schema);
  }
}

}  // namespace

void read_simple(const SchemaDocument& document, const Json& schema, std::string_view key, Shape& shape) {
  const Json& value = *schema.find(key);
  if (key == "type") {
    shape.types &= read_types(document, schema, value);
  } else if (key == "const") {
    keep_values(shape, {&value});
  } else if (key == "enum") {
    if (!value.is(Json::Kind::array)) document.fail(ErrorKind::usage, schema, key, "must be an array");
    std::vector<const Json*> values;
    for (const Json& v : value.items) values.push_back(&v);
    keep_values(shape, values);
  } else if (key.ends_with("imum") || key == "multipleOf") {
    read_number(document, schema, key, shape);
  } else if (key.ends_with("Length") || key == "pattern" || key == "format") {
    read_string(document, schema, key, shape);
  } else if (key.ends_with("tems") || key.ends_with("ontains")) {
    read_array(document, schema, key, shape);
  } else {
    read_object(document, schema, key, shape);
  }
}

}  // namespace medlar::grammar
