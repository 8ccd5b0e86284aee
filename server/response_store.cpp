#include "server/response_store.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <ranges>
#include <vector>

#include <fmt/format.h>

#include "server/api_error.h"
#include "server/json_body.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 1> kSteps{R"sql(
  CREATE TABLE response (
    key INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    previous TEXT NOT NULL,
    created INTEGER NOT NULL,
    input TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (client, id)
  );
  CREATE INDEX response_age ON response (created);
)sql"};

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

ResponseStore::ResponseStore(const std::filesystem::path& path, const Logger& log)
    : database_(store::open_or_begin_anew(path, {.steps = kSteps}, log)) {}

std::optional<StoredResponse> ResponseStore::get(std::string_view client, std::string_view id) {
  store::Statement row =
      database_.prepare("SELECT previous, input, body FROM response WHERE client = ? AND id = ?");
  row.bind(client, id);
  if (!row.step()) return std::nullopt;
  return StoredResponse{std::string(row.text(0)), parse_kept(row.text(1)).as_array(),
                        parse_kept(row.text(2)).as_object()};
}

json::array ResponseStore::items_through(std::string_view client, std::string_view id) {
  std::vector<StoredResponse> chain;
  for (std::string next(id); !next.empty(); next = chain.back().previous) {
    std::optional<StoredResponse> found = get(client, next);
    if (!found)
      throw ApiError(404, fmt::format("there is no response \"{}\"", printable(next, 128)),
                     {.param = "previous_response_id",
                      .code = "previous_response_not_found",
                      .hint = "it was not stored, was deleted, or is older than 30 days"});
    chain.push_back(std::move(*found));
  }
  json::array items;
  for (StoredResponse& link : std::views::reverse(chain)) {
    for (json::value& item : link.input) items.push_back(std::move(item));
    for (json::value& item : link.response["output"].as_array()) items.push_back(std::move(item));
  }
  return items;
}

void ResponseStore::put(std::string_view client, const StoredResponse& response) {
  const std::int64_t time = now();
  store::Transaction transaction(database_);
  database_.prepare("DELETE FROM response WHERE created < ?")
      .bind(time - std::chrono::duration_cast<std::chrono::seconds>(kKept).count())
      .run();
  database_
      .prepare("INSERT INTO response (client, id, previous, created, input, body) VALUES (?, ?, ?, ?, ?, ?)")
      .bind(client, std::string_view(response.response.at("id").as_string()),
            std::string_view(response.previous), time, std::string_view(json::serialize(response.input)),
            std::string_view(json::serialize(response.response)))
      .run();
  transaction.commit();
}

bool ResponseStore::remove(std::string_view client, std::string_view id) {
  database_.prepare("DELETE FROM response WHERE client = ? AND id = ?").bind(client, id).run();
  return database_.changes() > 0;
}

}  // namespace medlar::server
