// JSON as text: written, taken apart and checked without changing a byte that need not change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::reply {

// Appends a part of a string's contents, escaped as JSON demands and no further.
void append_escaped(std::string& out, std::string_view text);

// `text` as a JSON string.
std::string quoted(std::string_view text);
// What a JSON string says. `literal` must be one.
std::string unquoted(std::string_view literal);

// Whether `text` is one JSON value, white space around it allowed.
bool is_json(std::string_view text, int max_depth);

struct Member {
  std::string key;
  std::string_view value;  // its text
};
// The members of a JSON object. Throws Error(usage) where `object` is no JSON object.
std::vector<Member> members(std::string_view object, int max_depth);

}  // namespace medlar::reply
