// A template's text as tokens, with white space cut as trim_blocks and lstrip_blocks and the signs - and +
// ask.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace medlar::jinja {

enum class TokenKind : std::uint8_t {
  data,  // text between tags
  variable_begin,
  variable_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  add,
  assign,
  colon,
  comma,
  divide,
  dot,
  equal,
  floor_divide,
  greater,
  greater_equal,
  left_brace,
  left_bracket,
  left_paren,
  less,
  less_equal,
  modulo,
  multiply,
  not_equal,
  pipe,
  power,
  right_brace,
  right_bracket,
  right_paren,
  semicolon,
  subtract,
  tilde,
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  int line = 1;
  std::string text;  // of data, names and strings (unescaped)
  std::int64_t integer = 0;
  double real = 0;
};

// Ends with one token of kind `end`. Throws Error(bad_file) naming the line.
std::vector<Token> tokenize(std::string_view source);

// How an error message calls the token.
std::string describe(const Token& token);
std::string_view describe(TokenKind kind);

// Throws Error(bad_file) "line N: message".
[[noreturn]] void syntax_error(int line, const std::string& message);

}  // namespace medlar::jinja
