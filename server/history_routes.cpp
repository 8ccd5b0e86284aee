// The routes of the page's history. docs/page.md has them with examples.
#include <algorithm>
#include <charconv>
#include <system_error>

#include <fmt/format.h>

#include "server/desk.h"
#include "server/routes.h"
#include "server/url.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

const Form<ConversationHead>& conversation_form() {
  static const Form<ConversationHead> form =
      Form<ConversationHead>()
          .field("id", &ConversationHead::id, {.about = "as in the path", .required = true})
          .field("title", &ConversationHead::title, {.about = "what the list shows", .required = true})
          .field("created", &ConversationHead::created,
                 {.about = "milliseconds since 1970", .min = 0, .required = true})
          .field("updated", &ConversationHead::updated,
                 {.about = "milliseconds since 1970", .min = 0, .required = true});
  return form;
}

json::object head_json(const ConversationHead& head) {
  json::object object{{"id", head.id},
                      {"title", head.title},
                      {"created", head.created},
                      {"updated", head.updated},
                      {"revision", head.revision}};
  if (!head.snippet.empty()) object["snippet"] = head.snippet;
  return object;
}

void check_id(std::string_view id) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  if (id.empty() || id.size() > 64 || !std::ranges::all_of(id, plain))
    throw ApiError(400, "an id is 1 to 64 letters, digits, \"-\" and \"_\"", {.param = "id"});
}

ApiError not_found(std::string_view id) {
  return {
      404, fmt::format("there is no conversation {}", printable(id, 64)), {.code = "conversation_not_found"}};
}

// The revision of `if-match: "3"`; nullopt where there is none, or any will do.
std::optional<std::int64_t> expected_revision(const RequestHead& head) {
  const std::string_view given = head.value("if-match");
  if (given.empty() || given == "*") return std::nullopt;
  const bool quoted = given.size() > 2 && given.front() == '"' && given.back() == '"';
  const std::string_view digits = quoted ? given.substr(1, given.size() - 2) : std::string_view();
  std::int64_t revision = 0;
  const auto [parsed, error] = std::from_chars(digits.data(), digits.data() + digits.size(), revision);
  if (!quoted || parsed != digits.data() + digits.size() || error != std::errc())
    throw ApiError(400, "if-match has a revision in quotes",
                   {.param = "if-match", .hint = "if-match: \"3\""});
  return revision;
}

void list(const Call& call) {
  call.service.history->run(call, [](History& history, const Call& c) {
    const std::string search = query_value(c.request().head.query, "search").value_or("");
    const std::string& client = c.request().client;
    json::array heads;
    for (const ConversationHead& head :
         search.empty() ? history.list(client) : history.search(client, search))
      heads.push_back(head_json(head));
    c.reply({{"object", "list"}, {"data", std::move(heads)}});
  });
}

void get(const Call& call) {
  check_id(call.rest);
  call.service.history->run(call, [](History& history, const Call& c) {
    const auto found = history.get(c.request().client, c.rest);
    if (!found) throw not_found(c.rest);
    c.reply(*found);
  });
}

void put(const Call& call) {
  check_id(call.rest);
  json::value body = parse_body(call.request().body);
  const ConversationHead head = conversation_form().read(body);
  if (head.id != call.rest) throw ApiError(400, "id: must be the one of the path", {.param = "id"});
  body.as_object().erase("revision");
  const auto expected = expected_revision(call.request().head);
  call.service.history->run(call, [=, body = std::move(body)](History& history, const Call& c) {
    const History::Put put = history.put(c.request().client, head, body.get_object(), expected);
    if (!put.written)
      throw ApiError(
          412, "the conversation was written by somebody else meanwhile",
          {.code = "revision_differs", .hint = "read it again", .facts = {{"revision", put.revision}}});
    c.reply({{"id", head.id}, {"revision", put.revision}});
  });
}

void remove(const Call& call) {
  check_id(call.rest);
  call.service.history->run(call, [](History& history, const Call& c) {
    if (!history.remove(c.request().client, c.rest)) throw not_found(c.rest);
    c.reply({{"id", c.rest}, {"deleted", true}});
  });
}

Route route(Method method, Handler handler, std::string_view about) {
  return {.method = method, .path = "/medlar/history/{id}", .handler = handler, .about = about};
}

}  // namespace

std::span<const Route> history_routes() {
  static const std::vector<Route> routes = [] {
    std::vector<Route> all{
        route(Method::get, list, "The conversations that are kept; with ?search=TEXT those that contain it"),
        route(Method::get, get, "One conversation"),
        route(Method::put, put, "Keep a conversation"),
        route(Method::del, remove, "Delete a conversation"),
    };
    all[0].path = "/medlar/history";
    all[2].body = [] { return conversation_form().schema(); };
    return all;
  }();
  return routes;
}

}  // namespace medlar::server
