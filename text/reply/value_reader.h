// Values in the notations that models use, read byte by byte and written as JSON text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::reply {

enum class Notation {
  json,      // copied byte for byte; only control characters within strings are escaped
  keywords,  // Python: 'text', "text", True, None, [..], (..), {'key': ..}
  pairs      // key:value with strings in a quote of the format's own, as they are
};

class ValueReader {
 public:
  enum class State { reading, done, bad };

  // A `quote` of several bytes has its first byte only once.
  ValueReader(Notation notation, std::string_view quote, int max_depth)
      : notation_(notation), quote_(quote), max_depth_(static_cast<std::size_t>(max_depth)) {}

  // Reads `members` of an object, up to the bracket that closes it, which is left unread. `is_text` says of a
  // member's name that its value is a string, whatever it looks like. `out` becomes a whole object.
  void open_members(std::function<bool(std::string_view)> is_text, std::string& out);

  // How many bytes belong to the value; fewer than all once it is done or bad. Appends to `out`.
  std::size_t feed(std::string_view text, std::string& out);
  // The text ends here: a number may be done.
  State finish(std::string& out);
  State state() const { return state_; }

 private:
  enum class At : std::uint8_t {
    value,
    first_value,  // or the end of the array
    first_key,    // or the end of the object
    key,
    separator,
    comma,  // or the end
    string,
    escape,
    digits,      // of a character's code
    quote,       // within the quote that begins a string
    low_escape,  // the \ of a low surrogate
    low_u,       // its u
    scalar,
    bare_key
  };

  bool step(char c, std::string& out);
  bool step_value(char c, std::string& out);
  bool step_key(char c, std::string& out);
  bool step_string(char c, std::string& out);
  bool step_escape(char c, std::string& out);
  bool step_digit(char c, std::string& out);
  bool step_comma(char c, std::string& out);
  bool step_scalar(char c, std::string& out);

  bool bad();
  void begin_string(char c, std::string& out);
  void end_string(std::string& out);
  void append(std::string_view text, std::string& out);
  void end_code(std::string& out);
  void end_scalar(std::string& out);
  void end_key(std::string& out);
  void open(char bracket, std::string& out);
  void close(std::string& out);
  void after_value();
  void begin_element(std::string& out);
  bool closes(char c) const;
  bool verbatim() const { return notation_ == Notation::json; }

  Notation notation_;
  std::string_view quote_;
  std::size_t max_depth_;
  std::function<bool(std::string_view)> is_text_;

  State state_ = State::reading;
  At at_ = At::value;
  std::vector<char> closers_;  // of the containers that are open; ' ' for the members read by open_members()
  bool in_key_ = false;        // the string is a key
  bool comma_ = false;         // to be written before the next element
  bool want_text_ = false;     // of this member
  char delimiter_ = '"';       // of the string being read
  std::size_t matched_ = 0;    // bytes of quote_
  std::string token_;          // a scalar or a key
  char32_t code_ = 0;          // of an escaped character
  int digits_left_ = 0;
  char32_t high_ = 0;  // a high surrogate that waits for its other half
};

}  // namespace medlar::reply
