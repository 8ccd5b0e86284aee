// The patterns of format.h as steps to read and write, and the matching of their fixed text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::reply {

enum class Hole {
  none,  // fixed text
  object,
  name,
  index,
  id,
  any,
  json,
  keywords,
  pairs,
  parameters,
  code,
  key,
  text,
  value
};

struct Step {
  Hole hole = Hole::none;
  std::string_view text;  // of a hole: the fixed text that follows it, maybe empty
};

// The views point into `pattern`.
std::vector<Step> steps(std::string_view pattern);

// Under which keys `object` has its holes; empty where it has not.
struct ObjectKeys {
  std::string_view name, arguments, id;
};
ObjectKeys object_keys(std::string_view object);

// The marker by which a text is recognised: `text` up to the first line break or between two tags.
std::string_view marker(std::string_view text);
// The first word of a text: what has to follow a hole.
std::string_view first_word(std::string_view text);

constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
std::string_view trim(std::string_view text);

// A byte of a function's name where nothing quotes it.
constexpr bool is_name(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         c == '_' || c == '-' || c == '.' || c == '/' || c == '@';
}

// Reads fixed text byte by byte. White space in it stands for any white space or none, and so do its
// beginning and the places between two tags.
class Literal {
 public:
  enum class Taken { yes, no, mismatch };  // no: the text had ended before this byte

  Literal() = default;
  explicit Literal(std::string_view text) : text_(text) {}

  Taken take(char c);
  bool ended() const;
  // What has been taken of a word that is not complete, and whether that is the first one.
  std::string_view word() const;
  bool in_first_word() const { return trim(text_.substr(0, word_)).empty(); }

 private:
  bool open_to_space() const;

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t word_ = 0;
};

}  // namespace medlar::reply
