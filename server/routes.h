// The routes as one table: dispatch, 404, 405, keys and the OpenAPI document all come from it.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_error.h"
#include "server/form.h"
#include "server/http.h"
#include "server/service.h"

namespace medlar::server {

enum class Entry : std::uint8_t { keyed, open };  // open: without an API key
// A request with its route.
struct Call {
  Service& service;
  std::shared_ptr<Exchange> exchange;
  std::string_view rest;  // what stands for the {name} at the end of the route's path
  Dialect dialect = Dialect::openai;
  Shelf::Lease* lease = nullptr;  // lives as long as `exchange`

  const HttpRequest& request() const { return exchange->request(); }
  void reply(const boost::json::value& body, int status = 200) const;
  // The model of this name, "" for whichever was used last, of those that the client may ask for; it stays
  // until the request has been answered. To be asked for before anything else is done: where it is not in
  // memory, this throws, and the handler is called again when it is.
  Model& model(std::string_view name = {}) const;
  // Throws ApiError(403) where the client is an app that may not ask for the model of this name.
  void require_allowed(std::string_view name) const;
};

// What throws is answered in the route's dialect.
using Handler = void (*)(const Call& call);

struct Route {
  Method method = Method::get;
  std::string_view path;  // "/v1/models/{model}": the name takes the rest of the path
  Dialect dialect = Dialect::openai;
  Entry entry = Entry::keyed;
  Handler handler = nullptr;
  std::string_view about;
  boost::json::object (*body)() = nullptr;             // its JSON Schema; null: the route has none
  std::string_view content_type = "application/json";  // of an answer that is no stream
};

std::span<const Route> openai_routes();
std::span<const Route> anthropic_routes();
std::span<const Route> ollama_routes();
std::span<const Route> llama_routes();
std::span<const Route> page_routes();
std::span<const Route> model_routes();
std::span<const Route> history_routes();
std::span<const Route> response_routes();
std::span<const Route> ollama_model_routes();
std::span<const Route> embedding_routes();
std::span<const Route> rerank_routes();
std::span<const Route> adapter_routes();
std::span<const Route> app_routes();

struct Match {
  const Route* route = nullptr;
  std::string_view rest;
  std::string allow;  // of a known path asked with another method: those that it has
};

class Routes {
 public:
  Routes();
  // Compares bytes: nothing is decoded, folded or joined, so a path has one spelling. HEAD is served by GET.
  Match find(Method method, std::string_view path) const;
  std::span<const Route> all() const { return routes_; }
  // OpenAPI 3.1 of the whole table.
  boost::json::object document() const;

 private:
  std::vector<Route> routes_;
};

// Whose errors a path gets that is not in the table.
Dialect dialect_of(std::string_view path);

// The body of a call as the form's struct. Throws ApiError(400).
template <class Body>
Body read_body(const Call& call, const Form<Body>& form) {
  return form.read(parse_body(call.request().body));
}

}  // namespace medlar::server
