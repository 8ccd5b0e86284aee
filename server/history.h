// The conversations of the page, kept in a database: listed, searched, read, written, deleted.
// docs/page.md says what a conversation is.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "store/database.h"

namespace medlar::server {

struct ConversationHead {
  std::string id, title;
  std::int64_t created = 0, updated = 0;  // milliseconds since 1970
  std::int64_t revision = 0;              // writes so far
  std::string snippet;                    // of a search: the text around the first match
};

// One thread at a time. Every call names the client whose conversations it means; nobody sees another's.
class History {
 public:
  // A damaged file is set aside, and the log told where it is. Throws what Database throws.
  History(const std::filesystem::path& path, const Logger& log);

  // The latest first.
  std::vector<ConversationHead> list(std::string_view client);
  // Those whose texts contain `wanted`, case ignored.
  std::vector<ConversationHead> search(std::string_view client, std::string_view wanted);
  // As it was put, with its revision; nullopt: there is none.
  std::optional<boost::json::object> get(std::string_view client, std::string_view id);
  struct Put {
    bool written = false;  // false: the revision is another one than expected
    std::int64_t revision = 0;
  };
  // On the disk when it returns. `head` and `text`, which is what a search sees, are the object's.
  Put put(std::string_view client, const ConversationHead& head, const boost::json::object& conversation,
          std::optional<std::int64_t> expected);
  bool remove(std::string_view client, std::string_view id);

 private:
  store::Database database_;
};

// All texts of a conversation that a search looks at, a line each: title, system, the messages' contents.
std::string searched_text(const boost::json::object& conversation);

// The first place where `text` contains `wanted`, case ignored, with about 80 characters around it on one
// line; nullopt: nowhere.
std::optional<std::string> snippet_around(std::string_view text, std::string_view wanted);

}  // namespace medlar::server
