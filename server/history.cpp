#include "server/history.h"

#include <array>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <utf8proc.h>

#include "server/json_body.h"
#include "text/unicode.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// `conversation_text` finds parts of words, in any script: its tokens are all runs of three characters.
constexpr std::array<std::string_view, 1> kSteps{R"sql(
  CREATE TABLE conversation (
    key INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (client, id)
  );
  CREATE INDEX conversation_latest ON conversation (client, updated);
  CREATE VIRTUAL TABLE conversation_text USING fts5 (text, tokenize = 'trigram');
)sql"};
constexpr std::size_t kGram = 3;  // characters that the index can find

// The character at text[at] in lower case; `at` moves behind it.
char32_t next_folded(std::string_view text, std::size_t& at) {
  const text::CodePoint point = text::decode_utf8(text, at);
  at += point.length;
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value)));
}

std::u32string folded(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) result += next_folded(text, at);
  return result;
}

// Where `sought` ends that begins at text[at]; nullopt: something else is there.
std::optional<std::size_t> match_at(std::string_view text, std::size_t at, std::u32string_view sought) {
  for (const char32_t wanted : sought)
    if (at >= text.size() || next_folded(text, at) != wanted) return std::nullopt;
  return at;
}

std::string on_one_line(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const bool space = c == '\n' || c == '\r' || c == '\t' || c == ' ';
    if (!space) {
      result += c;
    } else if (!result.empty() && !result.ends_with(' ')) {
      result += ' ';
    }
  }
  while (result.ends_with(' ')) result.pop_back();
  return result;
}

void add_text(std::string& all, const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (!value || !value->is_string()) return;
  all += std::string_view(value->get_string());
  all += '\n';
}

ConversationHead read_head(const store::Statement& row) {
  return {.id = std::string(row.text(0)),
          .title = std::string(row.text(1)),
          .created = row.integer(2),
          .updated = row.integer(3),
          .revision = row.integer(4)};
}

}  // namespace

History::History(const std::filesystem::path& path, const Logger& log)
    : database_(store::open_or_begin_anew(path, {.steps = kSteps}, log)) {}

std::vector<ConversationHead> History::list(std::string_view client) {
  store::Statement rows = database_.prepare(
      "SELECT id, title, created, updated, revision FROM conversation WHERE client = ? ORDER BY updated "
      "DESC");
  rows.bind(client);
  std::vector<ConversationHead> result;
  while (rows.step()) result.push_back(read_head(rows));
  return result;
}

std::vector<ConversationHead> History::search(std::string_view client, std::string_view wanted) {
  const bool indexed = folded(wanted).size() >= kGram;
  store::Statement rows = database_.prepare(fmt::format(
      "SELECT id, title, created, updated, revision, text FROM conversation"
      " JOIN conversation_text ON conversation_text.rowid = key WHERE client = ? {} ORDER BY updated DESC",
      indexed ? "AND text MATCH ?" : ""));
  rows.bind(client);
  if (indexed) {
    std::string phrase = "\"";
    for (const char c : wanted) phrase += c == '"' ? "\"\"" : std::string(1, c == '\0' ? ' ' : c);
    rows.bind_at(2, phrase + "\"");
  }
  std::vector<ConversationHead> result;
  while (rows.step()) {
    // The index and this may see case differently in a few scripts; what the page shows must contain it.
    auto snippet = snippet_around(rows.text(5), wanted);
    if (!snippet) continue;
    result.push_back(read_head(rows));
    result.back().snippet = std::move(*snippet);
  }
  return result;
}

std::optional<json::object> History::get(std::string_view client, std::string_view id) {
  store::Statement row =
      database_.prepare("SELECT body, revision FROM conversation WHERE client = ? AND id = ?");
  row.bind(client, id);
  if (!row.step()) return std::nullopt;
  json::object result = parse_kept(row.text(0)).as_object();
  result["revision"] = row.integer(1);
  return result;
}

History::Put History::put(std::string_view client, const ConversationHead& head,
                          const json::object& conversation, std::optional<std::int64_t> expected) {
  store::Transaction transaction(database_);
  store::Statement found =
      database_.prepare("SELECT key, revision FROM conversation WHERE client = ? AND id = ?");
  found.bind(client, std::string_view(head.id));
  const bool known = found.step();
  const std::int64_t revision = known ? found.integer(1) : 0;
  if (expected && *expected != revision) return {.revision = revision};
  if (known) database_.prepare("DELETE FROM conversation_text WHERE rowid = ?").bind(found.integer(0)).run();
  found.reset();
  store::Statement write = database_.prepare(
      "INSERT INTO conversation (client, id, title, created, updated, revision, body)"
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (client, id) DO UPDATE"
      " SET title = ?3, created = ?4, updated = ?5, revision = ?6, body = ?7 RETURNING key");
  write.bind(client, std::string_view(head.id), std::string_view(head.title), head.created, head.updated,
             revision + 1, std::string_view(json::serialize(conversation)));
  write.step();
  const std::int64_t key = write.integer(0);
  write.run();
  database_.prepare("INSERT INTO conversation_text (rowid, text) VALUES (?, ?)")
      .bind(key, std::string_view(searched_text(conversation)))
      .run();
  transaction.commit();
  return {.written = true, .revision = revision + 1};
}

bool History::remove(std::string_view client, std::string_view id) {
  store::Transaction transaction(database_);
  database_
      .prepare(
          "DELETE FROM conversation_text WHERE rowid ="
          " (SELECT key FROM conversation WHERE client = ? AND id = ?)")
      .bind(client, id)
      .run();
  database_.prepare("DELETE FROM conversation WHERE client = ? AND id = ?").bind(client, id).run();
  const bool removed = database_.changes() > 0;
  transaction.commit();
  return removed;
}

std::string searched_text(const json::object& conversation) {
  std::string all;
  add_text(all, conversation, "title");
  add_text(all, conversation, "system");
  const json::value* tree = conversation.if_contains("tree");
  const json::value* messages =
      tree && tree->is_object() ? tree->get_object().if_contains("messages") : nullptr;
  if (!messages || !messages->is_object()) return all;
  for (const auto& [id, message] : messages->get_object())
    if (message.is_object()) add_text(all, message.get_object(), "content");
  return all;
}

std::optional<std::string> snippet_around(std::string_view text, std::string_view wanted) {
  constexpr std::size_t kBefore = 30, kAfter = 50;
  const std::u32string sought = folded(wanted);
  std::array<std::size_t, kBefore> begins{};  // of the last characters
  for (std::size_t at = 0, character = 0; at < text.size(); ++character) {
    if (const auto match = match_at(text, at, sought)) {
      const std::size_t begin = character > kBefore ? begins[character % kBefore] : 0;
      std::size_t end = *match;
      for (std::size_t i = 0; i < kAfter && end < text.size(); ++i) next_folded(text, end);
      return (begin > 0 ? "…" : "") + on_one_line(text.substr(begin, end - begin));
    }
    begins[character % kBefore] = at;
    next_folded(text, at);
  }
  return std::nullopt;
}

}  // namespace medlar::server
