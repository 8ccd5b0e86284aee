// Rules for arguments: a hole for JSON Schema where they are JSON, each parameter in turn where they are not.
#include "text/reply/argument_grammar.h"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include "text/reply/render.h"

namespace medlar::reply {
namespace {

namespace json = boost::json;

constexpr std::string_view kNumber = R"("-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?)";
constexpr std::string_view kInteger = R"("-"? ("0" | [1-9] [0-9]*))";
constexpr std::string_view kString = R"("\"" ([^"\\\x00-\x1F] | "\\" ["\\nrt])* "\"")";

// The values that a schema lists one by one.
std::vector<json::value> listed_values(const json::value& schema) {
  const json::object* object = schema.if_object();
  if (object == nullptr) return {};
  if (const json::value* value = object->if_contains("const")) return {*value};
  const json::value* list = object->if_contains("enum");
  if (list == nullptr || !list->is_array()) return {};
  return {list->get_array().begin(), list->get_array().end()};
}

bool is_required(const json::object& schema, std::string_view key) {
  const json::value* list = schema.if_contains("required");
  if (list == nullptr || !list->is_array()) return false;
  return std::any_of(list->get_array().begin(), list->get_array().end(),
                     [&](const json::value& item) { return item.is_string() && item.get_string() == key; });
}

// The schema of one property, with what its references may point to.
json::value with_definitions(const json::value& property, const json::object& root) {
  if (!property.is_object()) return property;
  json::value schema = property;
  for (const char* key : {"$defs", "definitions"}) {
    if (const json::value* definitions = root.if_contains(key)) schema.get_object()[key] = *definitions;
  }
  return schema;
}

}  // namespace

std::string ArgumentGrammar::expression(Hole hole_kind, const Tool& tool, std::size_t number) {
  switch (hole_kind) {
    case Hole::parameters:
      return tagged(parameters(tool, number));
    case Hole::keywords:
      return listed(parameters(tool, number), Notation::keywords, number);
    case Hole::pairs:
      return listed(parameters(tool, number), Notation::pairs, number);
    default:
      return hole(fmt::format("arguments-{}", number),
                  tool.parameters.is_null() ? json::value{{"type", "object"}} : tool.parameters);
  }
}

std::string ArgumentGrammar::hole(std::string rule, json::value schema) {
  const bool known = std::any_of(holes_.begin(), holes_.end(),
                                 [&](const ToolGrammar::Hole& other) { return other.rule == rule; });
  if (!known) holes_.push_back({rule, std::move(schema)});
  return rule;
}

std::vector<ArgumentGrammar::Parameter> ArgumentGrammar::parameters(const Tool& tool,
                                                                    std::size_t number) const {
  std::vector<Parameter> result;
  const json::object* schema = tool.parameters.if_object();
  const json::value* properties = schema == nullptr ? nullptr : schema->if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return result;
  for (const auto& [key, value] : properties->get_object()) {
    result.push_back({std::string(key), with_definitions(value, *schema), resolved(value, tool.parameters),
                      schema_types(value, tool.parameters), is_required(*schema, key),
                      fmt::format("value-{}-{}", number, result.size())});
  }
  return result;
}

// Each parameter in its own tags, in the schema's order.
std::string ArgumentGrammar::tagged(const std::vector<Parameter>& parameters) {
  std::string out;
  for (const Parameter& parameter : parameters) {
    const std::string one = tagged_parameter(parameter);
    out = gbnf_sequence(out, parameter.required ? one : fmt::format("({})?", one));
  }
  return out;
}

std::string ArgumentGrammar::tagged_parameter(const Parameter& parameter) {
  const std::vector<Step> all = steps(layout_.parameter);
  const auto value =
      std::find_if(all.begin(), all.end(), [](const Step& s) { return s.hole == Hole::value; });
  std::vector<std::string> ways;
  const auto add = [&](const std::string& expression, bool is_text) {
    ways.push_back(tagged_steps(parameter, expression, is_text));
  };
  const std::vector<json::value> values = listed_values(parameter.target);
  for (const json::value& one : values) {
    const bool is_text = one.is_string();
    add(gbnf_literal(is_text ? std::string(one.get_string()) : json::serialize(one)), is_text);
  }
  if (values.empty()) {
    if (parameter.types.allows(Types::text)) add(gbnf_.text_without(first_word(value->text)), true);
    if (parameter.types.bits != Types::text) add(hole(parameter.rule, parameter.schema), false);
  }
  return gbnf_choice(ways);
}

std::string ArgumentGrammar::tagged_steps(const Parameter& parameter, const std::string& value,
                                          bool is_text) const {
  std::string out, text;
  for (const Step& step : steps(layout_.parameter)) {
    if (step.hole == Hole::none) {
      text += step.text;
    } else if (step.hole == Hole::key) {
      text += parameter.key;
    } else if (step.hole == Hole::text) {
      text += is_text ? "true" : "false";
    } else {
      out = gbnf_sequence(gbnf_sequence(out, gbnf_literal(text)), value);
      text.clear();
    }
  }
  return gbnf_sequence(out, gbnf_literal(text));
}

// key=value, key=value in the schema's order: list-N-I is what may follow once parameter I is reached,
// more-N-I the same after another one.
std::string ArgumentGrammar::listed(const std::vector<Parameter>& parameters, Notation notation,
                                    std::size_t number) {
  const bool keywords = notation == Notation::keywords;
  const std::string comma = gbnf_literal(keywords ? ", " : ",");
  const auto name = [&](std::string_view kind, std::size_t i) {
    return fmt::format("{}-{}-{}", kind, number, i);
  };
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& one = parameters[i];
    gbnf_.shared_rule(one.rule, literal_value(one, notation));
    const std::string pair = fmt::format("{} {} {}", gbnf_literal(one.key + (keywords ? "=" : ":")), one.rule,
                                         name("more", i + 1));
    const std::string otherwise = one.required ? "" : " | ";
    gbnf_.shared_rule(name("list", i), pair + (otherwise.empty() ? "" : otherwise + name("list", i + 1)));
    gbnf_.shared_rule(name("more", i),
                      comma + " " + pair + (otherwise.empty() ? "" : otherwise + name("more", i + 1)));
  }
  gbnf_.shared_rule(name("list", parameters.size()), "");
  gbnf_.shared_rule(name("more", parameters.size()), "");
  return name("list", 0);
}

std::string ArgumentGrammar::literal_value(const Parameter& parameter, Notation notation) {
  std::vector<std::string> ways;
  for (const json::value& value : listed_values(parameter.target)) {
    ways.push_back(gbnf_literal(render_value(json::serialize(value), layout_, notation)));
  }
  if (!ways.empty()) return gbnf_choice(ways);
  const std::string any = any_value(notation);
  const std::string_view kind = notation == Notation::keywords ? "python" : "pair";
  if (parameter.types.bits == Types::any) return any;
  const json::object* schema = parameter.target.if_object();
  const json::value* type = schema == nullptr ? nullptr : schema->if_contains("type");
  if (type != nullptr && *type == "integer") return std::string(kInteger);
  const std::pair<std::uint8_t, std::string_view> kNames[] = {
      {Types::text, "string"}, {Types::number, "number"}, {Types::boolean, "boolean"},
      {Types::null, "null"},   {Types::array, "array"},   {Types::object, "object"}};
  for (const auto& [type, name] : kNames) {
    if (parameter.types.allows(type)) ways.push_back(fmt::format("{}-{}", kind, name));
  }
  return gbnf_choice(ways);
}

// Any value of the notation; the rules of its parts are named after the notation and the type.
std::string ArgumentGrammar::any_value(Notation notation) {
  const bool python = notation == Notation::keywords;
  const std::string kind = python ? "python" : "pair";
  const std::string comma = gbnf_literal(python ? ", " : ",");
  const auto list = [&](std::string_view item) { return fmt::format("({} ({} {})*)?", item, comma, item); };
  const std::string quote = gbnf_literal(layout_.quote);
  gbnf_.shared_rule(kind + "-string",
                    python ? std::string(kString)
                           : fmt::format("{} {} {}", quote, gbnf_.text_without(layout_.quote), quote));
  gbnf_.shared_rule(kind + "-number", kNumber);
  gbnf_.shared_rule(kind + "-boolean", python ? R"("True" | "False")" : R"("true" | "false")");
  gbnf_.shared_rule(kind + "-null", python ? R"("None")" : R"("null")");
  gbnf_.shared_rule(kind + "-array", fmt::format(R"("[" {} "]")", list(kind + "-value")));
  gbnf_.shared_rule(kind + "-key", python ? kind + "-string" : std::string("[A-Za-z0-9_]+"));
  gbnf_.shared_rule(kind + "-member",
                    fmt::format("{}-key {} {}-value", kind, gbnf_literal(python ? ": " : ":"), kind));
  gbnf_.shared_rule(kind + "-object", fmt::format(R"("{{" {} "}}")", list(kind + "-member")));
  gbnf_.shared_rule(
      kind + "-value",
      fmt::format("{0}-string | {0}-number | {0}-boolean | {0}-null | {0}-array | {0}-object", kind));
  return kind + "-value";
}

}  // namespace medlar::reply
