#include "server/describe.h"

#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include "server/routes.h"
#include "server/settings.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

std::string plain(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_number()) return fmt::format("{}", value.to_number<double>());
  return json::serialize(value);
}

// "number, 0 to 2", "one of a, b"
std::string kind_of(const json::object& schema) {
  std::string result;
  if (const json::value* type = schema.if_contains("type"))
    // A list is "T or null", or else all there is but null.
    result = !type->is_array()               ? plain(*type)
             : type->get_array().size() == 2 ? plain(type->get_array()[0])
                                             : "";
  if (schema.contains("oneOf")) result = "see its meaning";
  if (const json::value* choices = schema.if_contains("enum")) {
    result = "one of";
    for (const json::value& choice : choices->as_array())
      if (!choice.is_null()) result += (result.ends_with("of") ? " " : ", ") + plain(choice);
  }
  const json::value* min = schema.if_contains("minimum");
  const json::value* max = schema.if_contains("maximum");
  if (min && max) return result + fmt::format(", {} to {}", plain(*min), plain(*max));
  if (min) return result + fmt::format(", {} or more", plain(*min));
  return result.empty() ? "any" : result;
}

std::string row(std::string_view name, const json::object& schema, bool required) {
  const json::value* about = schema.if_contains("description");
  const json::value* fallback = schema.if_contains("default");
  const bool shown = fallback && !(fallback->is_string() && fallback->get_string().empty());
  return fmt::format("| `{}` | {} | {} | {} |\n", name, kind_of(schema),
                     required ? "required"
                     : shown  ? plain(*fallback)
                              : "",
                     about ? plain(*about) : "");
}

constexpr std::string_view kHead = "| field | type | default | meaning |\n|---|---|---|---|\n";

// The fields that are not settings, which every route that generates shares.
std::string own_fields(const json::object& body, const json::object& common) {
  std::string rows;
  const json::value* required = body.if_contains("required");
  const json::value* properties = body.if_contains("properties");
  for (const auto& [name, schema] : properties ? properties->as_object() : json::object()) {
    if (common.contains(name)) continue;
    bool needed = false;
    for (const json::value& other : required ? required->as_array() : json::array()) needed |= other == name;
    rows += row(std::string_view(name.data(), name.size()), schema.as_object(), needed);
  }
  return rows.empty() ? rows : std::string(kHead) + rows;
}

}  // namespace

std::string describe_api() {
  const json::object settings = settings_form().schema();
  const json::object& common = settings.at("properties").as_object();
  std::string text = "### Routes\n\n| route | what it does |\n|---|---|\n";
  std::string bodies;
  const Routes routes;
  for (const Route& route : routes.all()) {
    const std::string name = fmt::format("{} {}", to_string(route.method), route.path);
    text += fmt::format("| `{}` | {}{} |\n", name, route.about,
                        route.entry == Entry::open ? " (without a key, too)" : "");
    if (!route.body) continue;
    const std::string fields = own_fields(route.body(), common);
    if (!fields.empty()) bodies += fmt::format("\n### {}\n\n{}", name, fields);
  }
  text +=
      "\n### Settings\n\nEvery route that generates knows these; Ollama's know them within `options`.\n\n";
  text += kHead;
  for (const auto& entry : settings_form().entries()) text += row(entry.name, entry.schema, false);
  return text + bodies;
}

}  // namespace medlar::server
