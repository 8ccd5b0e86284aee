#include "server/routes.h"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cctype>

#include <fmt/format.h>

#include "server/apps.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// The document of all the others; Routes itself writes it.
constexpr Route kDocument{.path = "/openapi.json",
                          .handler = [](const Call& call) { call.reply(Routes().document()); },
                          .about = "This document"};

// What stands for the path's {name}; nullopt where the path does not fit.
std::optional<std::string_view> match(std::string_view pattern, std::string_view path) {
  const std::size_t brace = pattern.find('{');
  if (brace == std::string_view::npos)
    return pattern == path ? std::optional(std::string_view()) : std::nullopt;
  if (!path.starts_with(pattern.substr(0, brace)) || path.size() == brace) return std::nullopt;
  return path.substr(brace);
}

json::object error_schema(Dialect dialect) {
  if (dialect == Dialect::ollama)
    return {{"type", "object"}, {"properties", {{"error", {{"type", "string"}}}}}, {"required", {"error"}}};
  return {{"type", "object"}, {"properties", {{"error", {{"type", "object"}}}}}, {"required", {"error"}}};
}

// What an answer may be; who may ask for a stream gets one in the protocol's framing.
json::object answer_content(const Route& route, const json::object& body) {
  json::object content{{route.content_type, json::object()}};
  const json::value* fields = body.if_contains("properties");
  if (fields && fields->as_object().contains("stream"))
    content[route.dialect == Dialect::ollama ? "application/x-ndjson" : "text/event-stream"] = json::object();
  return content;
}

json::object operation(const Route& route) {
  json::object result{{"summary", route.about}};
  std::string id = fmt::format("{} {}", to_string(route.method), route.path);
  for (char& c : id) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  result["operationId"] = id;
  if (const std::size_t brace = route.path.find('{'); brace != std::string_view::npos)
    result["parameters"] = json::array{{{"name", route.path.substr(brace + 1, route.path.size() - brace - 2)},
                                        {"in", "path"},
                                        {"required", true},
                                        {"schema", {{"type", "string"}}}}};
  const json::object body = route.body ? route.body() : json::object();
  if (route.body)
    result["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", body}}}}}};
  const json::object error{{"description", "What is wrong, in the protocol's form"},
                           {"content", {{"application/json", {{"schema", error_schema(route.dialect)}}}}}};
  result["responses"] = {{"200", {{"description", "The answer"}, {"content", answer_content(route, body)}}},
                         {"4XX", error},
                         {"5XX", error}};
  if (route.entry == Entry::open) result["security"] = json::array();
  return result;
}

}  // namespace

void Call::reply(const json::value& body, int status) const {
  exchange->reply({.status = status, .body = json::serialize(body)});
}

Model& Call::model(std::string_view name) const {
  const auto app = service.apps ? service.apps->of(request().client) : nullptr;
  if (!app) {
    *lease = service.lease(name);
    return **lease;
  }
  const std::string wanted = name.empty() ? allowed_model(*app, name, nullptr) : std::string(name);
  try {
    *lease = service.lease(wanted);
  } catch (const NotInMemory& missing) {
    allowed_model(*app, missing.name, nullptr);
    throw;
  }
  allowed_model(*app, wanted, &**lease);
  return **lease;
}

void Call::require_allowed(std::string_view name) const {
  const auto app = service.apps ? service.apps->of(request().client) : nullptr;
  if (app && !name.empty()) {
    const Shelf::Lease present = service.shelf.find(name);
    allowed_model(*app, name, present ? &*present : nullptr);
  }
}

Routes::Routes() {
  routes_.push_back(kDocument);
  for (const auto table :
       {openai_routes(), anthropic_routes(), ollama_routes(), llama_routes(), page_routes(), model_routes(),
        history_routes(), response_routes(), ollama_model_routes(), embedding_routes(), rerank_routes(),
        adapter_routes(), app_routes()})
    routes_.insert(routes_.end(), table.begin(), table.end());
}

Match Routes::find(Method method, std::string_view path) const {
  Match result;
  for (const Route& route : routes_) {
    const auto rest = match(route.path, path);
    if (!rest) continue;
    if (route.method == method || (method == Method::head && route.method == Method::get))
      return {.route = &route, .rest = *rest};
    result.allow += fmt::format("{}{}", result.allow.empty() ? "" : ", ", to_string(route.method));
    if (route.method == Method::get) result.allow += ", HEAD";
  }
  return result;
}

json::object Routes::document() const {
  json::object paths;
  for (const Route& route : routes_) {
    std::string method(to_string(route.method));
    for (char& c : method) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    json::value& path = paths[route.path];
    if (!path.is_object()) path = json::object();
    path.as_object()[method] = operation(route);
  }
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "Medlar"}, {"version", "1"}, {"description", "The HTTP API of medlar serve"}}},
          {"paths", std::move(paths)},
          {"components", {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
          {"security", json::array{json::object{{"key", json::array()}}, json::object()}}};
}

Dialect dialect_of(std::string_view path) {
  if (path.starts_with("/v1/messages")) return Dialect::anthropic;
  if (path.starts_with("/api/")) return Dialect::ollama;
  return path.starts_with("/v1") ? Dialect::openai : Dialect::llama;
}

}  // namespace medlar::server
