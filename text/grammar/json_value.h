// JSON as a schema's author wrote it: members in order, numbers as their digits.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace medlar::grammar {

struct Json {
  enum class Kind { null, boolean, number, string, array, object } kind = Kind::null;
  bool boolean = false;
  std::string text;               // of a string its characters; of a number its digits
  std::vector<Json> items;        // of an array, or the values of an object
  std::vector<std::string> keys;  // of an object, one a value

  bool is(Kind k) const { return kind == k; }
  const Json* find(std::string_view key) const;  // null when absent, or this is no object
};

// Throws Error(usage) naming line and column of what is no JSON, or a member that comes twice; Error(limit).
Json parse_json(std::string_view text);

// Whether characters beyond ASCII stand for themselves or are escaped.
enum class Spelling { plain, ascii };
// Without spaces, as the values of "enum" and "const" are written.
std::string to_text(const Json& value, Spelling spelling = Spelling::plain);
// A string in quotes.
std::string quote(std::string_view text, Spelling spelling = Spelling::plain);

// Whether two values are equal: numbers by value, members in any order.
bool equal(const Json& a, const Json& b);

}  // namespace medlar::grammar
