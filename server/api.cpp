#include "server/api.h"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <fmt/format.h>

#include "server/apps.h"
#include "server/models.h"

namespace medlar::server {
namespace {

// What a browser asks before it lets a page of another origin send a request.
Response preflight(const RequestHead& head) {
  Response response{.status = 204};
  response.fields.push_back({"access-control-allow-methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS"});
  const std::string_view wanted = head.value("access-control-request-headers");
  response.fields.push_back(
      {"access-control-allow-headers", wanted.empty() ? "authorization, content-type" : std::string(wanted)});
  response.fields.push_back({"access-control-max-age", "600"});
  return response;
}

}  // namespace

// Bodies are parsed, rendered and tokenized away from the I/O thread: a long one must not hold up streams.
struct Api::Workers {
  boost::asio::thread_pool pool{2};
};

Api::Api(Service& service, Access access)
    : service_(service), access_(std::move(access)), workers_(std::make_unique<Workers>()) {}
Api::~Api() { close(); }

void Api::close() {
  workers_->pool.stop();
  workers_->pool.join();
}

Application::Admission Api::admit(const RequestHead& head) {
  Admission result;
  const auto refuse = [&](const ApiError& error) {
    result.refusal = error_response(dialect_of(head.path), error);
    return result;
  };
  if (!access_.allows_host(head))
    return refuse(
        {403, "this server has another name", {.param = "host", .hint = "--allow-host NAME adds one"}});
  if (!access_.allows_origin(head))
    return refuse({403,
                   "pages of this origin may not ask",
                   {.param = "origin", .hint = "--allow-origin ORIGIN lets them"}});
  if (const std::string_view origin = head.value("origin"); !origin.empty()) {
    result.fields.push_back({"access-control-allow-origin", std::string(origin)});
    result.fields.push_back({"access-control-expose-headers", "x-request-id"});
    result.fields.push_back({"vary", "origin"});
  }
  if (head.method == Method::options) {
    result.refusal = preflight(head);
    return result;
  }
  const Match match = routes_.find(head.method, head.path);
  result.client = access_.client_of(head);
  if (result.client.empty() && service_.apps) result.client = service_.apps->client_of(Access::key_of(head));
  if (access_.needs_key()) {
    const bool open = match.route && match.route->entry == Entry::open;
    if (result.client.empty() && !open)
      return refuse(
          {401,
           "no valid API key",
           {.code = "invalid_api_key", .hint = "send Authorization: Bearer KEY, or x-api-key: KEY"}});
  }
  if (match.route) return result;
  if (match.allow.empty())
    return refuse(
        {404, "there is nothing here", {.code = "not_found", .hint = "/openapi.json lists what there is"}});
  refuse({405, "this path has other methods", {.hint = match.allow}});
  result.refusal->fields.push_back({"allow", match.allow});
  return result;
}

void Api::handle(std::shared_ptr<Exchange> exchange) {
  if (exchange->request().body.empty()) return serve(exchange);
  boost::asio::post(workers_->pool, [this, exchange = std::move(exchange)] { serve(exchange); });
}

void Api::serve(const std::shared_ptr<Exchange>& exchange) const {
  const RequestHead& head = exchange->request().head;
  const Match match = routes_.find(head.method, head.path);
  // Whoever holds the exchange holds the model.
  struct Held {
    std::shared_ptr<Exchange> exchange;
    Shelf::Lease lease;
  };
  const auto held = std::make_shared<Held>(Held{.exchange = exchange, .lease = {}});
  const Call call{.service = service_,
                  .exchange = std::shared_ptr<Exchange>(held, exchange.get()),
                  .rest = match.rest,
                  .dialect = match.route->dialect,
                  .lease = &held->lease};
  try {
    match.route->handler(call);
  } catch (const NotInMemory& wanted) {
    load(call, wanted.name);
  } catch (...) {
    exchange->reply(error_response(match.route->dialect, current_error()));
  }
}

// The model stays until the handler, called again, has it.
void Api::load(const Call& call, const std::string& name) const {
  service_.models->load(call, name, [this, exchange = call.exchange](Shelf::Lease model) {
    boost::asio::post(
        workers_->pool,
        [this, exchange, held = std::make_shared<Shelf::Lease>(std::move(model))] { serve(exchange); });
  });
}

void Api::draining() {
  if (service_.apps) service_.apps->close();
}

Response Api::malformed(int status, std::string_view reason) {
  service_.log.info("malformed status={} reason=\"{}\"", status, reason);
  service_.metrics.request("?", "?", status, 0);
  return error_response(Dialect::openai, {status, std::string(reason), {.code = "malformed_request"}});
}

void Api::answered(const HttpRequest& request, int status, double seconds) {
  const Match match = routes_.find(request.head.method, request.head.path);
  const std::string_view method = to_string(request.head.method);
  service_.metrics.request(method, match.route ? match.route->path : "?", status, seconds);
  const std::string_view trace = request.head.value("traceparent");
  service_.log.info("request={} method={} path={} status={} seconds={:.3f}{}{}", request.id, method,
                    request.head.path, status, seconds, trace.empty() ? "" : " traceparent=", trace);
}

}  // namespace medlar::server
