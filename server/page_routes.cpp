// The files of the page, as docs/page.md says; and the line of text at / for who is no browser.
#include "server/routes.h"
#include "web/page.h"

namespace medlar::server {
namespace {

void serve_file(const Call& call, const web::PageFile& file, std::vector<Header> fields) {
  const auto add = [&](std::string_view name, std::string_view value) {
    fields.push_back({std::string(name), std::string(value)});
  };
  add("cache-control", file.cache_control);
  add("etag", file.etag);
  add("content-security-policy", web::page_policy());
  add("referrer-policy", "no-referrer");
  add("cross-origin-opener-policy", "same-origin");
  for (const std::string_view known : call.request().head.values("if-none-match"))
    if (known.find(file.etag) != std::string_view::npos)
      return call.exchange->reply({.status = 304, .fields = std::move(fields)});
  if (!file.encoding.empty()) {
    add("content-encoding", file.encoding);
    add("vary", "accept-encoding");
  }
  call.exchange->reply({.content_type = std::string(file.content_type),
                        .body = std::string(file.bytes.begin(), file.bytes.end()),
                        .fields = std::move(fields)});
}

void front(const Call& call) {
  bool browser = false;
  for (const std::string_view accepted : call.request().head.values("accept"))
    browser |= accepted.find("text/html") != std::string_view::npos;
  if (browser) return serve_file(call, *web::find_page_file("/"), {{"vary", "accept"}});
  call.exchange->reply({.content_type = "text/plain; charset=utf-8",
                        .body = web::has_page() ? "Medlar is running\n"
                                                : "Medlar is running; this build has no page for browsers\n",
                        .fields = {{"vary", "accept"}}});
}

void file(const Call& call) {
  if (const web::PageFile* found = web::find_page_file(call.request().head.path))
    return serve_file(call, *found, {});
  throw ApiError(404, "the page has no such file", {.code = "not_found", .hint = "load the page again"});
}

Route route(std::string_view path, Handler handler, std::string_view about) {
  return {.path = path, .entry = Entry::open, .handler = handler, .about = about, .content_type = "*/*"};
}

}  // namespace

std::span<const Route> page_routes() {
  static const std::vector<Route> routes{
      route("/", front, "The page, for browsers; for others a line that says that the server is there"),
      route("/icon.svg", file, "The page's icon"),
      route("/assets/{file}", file, "The page's scripts and styles"),
  };
  return routes;
}

}  // namespace medlar::server
