// The lexer: text up to the next tag, then tokens up to the tag's end, with brackets kept in balance so that
// the end of a tag is not found inside a dictionary.
#include "text/jinja/lexer.h"

#include <algorithm>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "base/error.h"
#include "text/jinja/chars.h"
#include "text/jinja/numbers.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"

namespace medlar::jinja {
namespace {

struct Operator {
  std::string_view text;
  TokenKind kind;
};

// Longer ones first.
constexpr Operator kOperators[] = {
    {"//", TokenKind::floor_divide}, {"**", TokenKind::power},         {"==", TokenKind::equal},
    {"!=", TokenKind::not_equal},    {">=", TokenKind::greater_equal}, {"<=", TokenKind::less_equal},
    {"+", TokenKind::add},           {"-", TokenKind::subtract},       {"/", TokenKind::divide},
    {"*", TokenKind::multiply},      {"%", TokenKind::modulo},         {"~", TokenKind::tilde},
    {"[", TokenKind::left_bracket},  {"]", TokenKind::right_bracket},  {"(", TokenKind::left_paren},
    {")", TokenKind::right_paren},   {"{", TokenKind::left_brace},     {"}", TokenKind::right_brace},
    {">", TokenKind::greater},       {"<", TokenKind::less},           {"=", TokenKind::assign},
    {".", TokenKind::dot},           {":", TokenKind::colon},          {"|", TokenKind::pipe},
    {",", TokenKind::comma},         {";", TokenKind::semicolon},
};

// Line ends as "\n", and without a single one at the end.
std::string normalized(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out.push_back(source[i]);
      continue;
    }
    out.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)), text_(source_) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      const std::size_t tag = next_tag(at_);
      if (tag == std::string_view::npos) {
        data(text_.substr(at_), 0);
        at_ = text_.size();
        break;
      }
      const std::size_t start = at_;
      at_ = tag + 2;
      const char kind = text_[tag + 1];
      const char sign = take_sign();
      if (kind == '%' && raw(start, tag, sign)) continue;
      data_before_tag(start, tag, sign, kind != '{');
      if (kind == '#') {
        comment();
      } else {
        push(kind == '{' ? TokenKind::variable_begin : TokenKind::block_begin);
        inside_tag(kind == '%');
      }
    }
    push(TokenKind::end);
    return std::move(tokens_);
  }

 private:
  std::size_t next_tag(std::size_t from) const {
    for (std::size_t at = text_.find('{', from); at != std::string_view::npos; at = text_.find('{', at + 1)) {
      const char next = peek(at + 1);
      if (next == '{' || next == '%' || next == '#') return at;
    }
    return std::string_view::npos;
  }

  char peek(std::size_t at) const { return at < text_.size() ? text_[at] : '\0'; }
  bool follows(std::size_t at, std::string_view what) const { return text_.substr(at, what.size()) == what; }

  char take_sign() {
    const char c = peek(at_);
    if (c != '-' && c != '+') return 0;
    ++at_;
    return c;
  }

  std::size_t skip_space(std::size_t at) const {
    while (at < text_.size()) {
      const text::CodePoint c = text::decode_utf8(text_, at);
      if (!is_space(c.value)) break;
      at += c.length;
    }
    return at;
  }

  void count_lines(std::string_view passed) {
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
  }

  void push(TokenKind kind) { tokens_.push_back({.kind = kind, .line = line_}); }

  void data(std::string_view kept, std::size_t dropped_lines) {
    if (!kept.empty()) tokens_.push_back({.kind = TokenKind::data, .line = line_, .text = std::string(kept)});
    count_lines(kept);
    line_ += static_cast<int>(dropped_lines);
  }

  // The text from `start` to the tag at `tag`, cut as the tag's sign says.
  void data_before_tag(std::size_t start, std::size_t tag, char sign, bool strips_line) {
    const std::string_view whole = text_.substr(start, tag - start);
    std::string_view kept = whole;
    if (sign == '-') {
      kept = strip(whole, std::nullopt, Side::right);
    } else if (sign != '+' && strips_line) {
      const std::size_t line = whole.rfind('\n') + 1;  // 0 when there is none
      const bool line_start = line > 0 || line_starting_;
      if (line_start && strip(whole.substr(line), std::nullopt, Side::left).empty())
        kept = whole.substr(0, line);
    }
    const std::string_view dropped = whole.substr(kept.size());
    data(kept, static_cast<std::size_t>(std::count(dropped.begin(), dropped.end(), '\n')));
  }

  // Moves past a tag's end, with the white space that it takes along.
  bool take_end(std::string_view end, bool trims_newline, bool plus_allowed) {
    std::size_t at = at_;
    if (peek(at) == '-' && follows(at + 1, end)) {
      at = skip_space(at + 1 + end.size());
    } else if (plus_allowed && peek(at) == '+' && follows(at + 1, end)) {
      at += 1 + end.size();
    } else if (follows(at, end)) {
      at += end.size();
      if (trims_newline && peek(at) == '\n') ++at;
    } else {
      return false;
    }
    count_lines(text_.substr(at_, at - at_));
    line_starting_ = text_[at - 1] == '\n';
    at_ = at;
    return true;
  }

  void comment() {
    const int opened = line_;
    if (at_ == text_.size()) return;  // Jinja lets these pass
    for (; at_ < text_.size(); ++at_) {
      if (take_end("#}", true, true)) return;
      if (text_[at_] == '\n') ++line_;
    }
    syntax_error(opened, "missing end of comment tag");
  }

  bool is_word(std::size_t at, std::string_view word) const { return follows(at, word); }

  // {% raw %} ... {% endraw %}; false when the tag at hand is another.
  bool raw(std::size_t start, std::size_t tag, char sign) {
    const std::size_t word = skip_space(at_);
    if (!is_word(word, "raw")) return false;
    std::size_t end = skip_space(word + 3);
    if (follows(end, "-%}")) {
      end = skip_space(end + 3);
    } else if (follows(end, "%}")) {
      end += 2;
    } else {
      return false;
    }
    data_before_tag(start, tag, sign, true);
    count_lines(text_.substr(at_, end - at_));
    line_starting_ = text_[end - 1] == '\n';
    at_ = end;
    if (at_ == text_.size()) return true;  // Jinja lets these pass
    const int opened = line_;
    for (std::size_t close = text_.find("{%", at_); close != std::string_view::npos;
         close = text_.find("{%", close + 1)) {
      if (end_raw(close)) return true;
    }
    syntax_error(opened, "missing end of raw directive");
  }

  bool end_raw(std::size_t close) {
    const std::size_t body = at_;
    const int body_line = line_;
    at_ = close + 2;
    const char sign = take_sign();
    const std::size_t word = skip_space(at_);
    const std::size_t after = is_word(word, "endraw") ? skip_space(word + 6) : std::string_view::npos;
    if (after == std::string_view::npos || !ends_block(after)) {
      at_ = body;
      line_ = body_line;
      return false;
    }
    data_before_tag(body, close, sign, true);
    count_lines(text_.substr(close, after - close));
    at_ = after;
    take_end("%}", true, true);
    return true;
  }

  bool ends_block(std::size_t at) const {
    return follows(at, "%}") || follows(at, "-%}") || follows(at, "+%}");
  }

  void inside_tag(bool block) {
    while (at_ < text_.size()) {
      if (brackets_.empty() && take_end(block ? "%}" : "}}", block, block)) {
        // The end's newline belongs to the tag's last line.
        tokens_.push_back({.kind = block ? TokenKind::block_end : TokenKind::variable_end, .line = line_});
        return;
      }
      const std::size_t space = skip_space(at_);
      if (space > at_) {
        count_lines(text_.substr(at_, space - at_));
        at_ = space;
        continue;
      }
      if (!number() && !identifier() && !string() && !symbol()) {
        const text::CodePoint c = text::decode_utf8(text_, at_);
        syntax_error(line_, fmt::format("unexpected char '{}'", text_.substr(at_, c.length)));
      }
    }
    // The parser reports the tag that is missing its end.
    brackets_.clear();
  }

  // Past digits with single underscores between them; `at` itself when there are none.
  template <class IsDigit>
  std::size_t skip_digits(std::size_t at, IsDigit is_digit) const {
    if (!is_digit(peek(at))) return at;
    ++at;
    while (is_digit(peek(at)) || (peek(at) == '_' && is_digit(peek(at + 1)))) ++at;
    return at;
  }

  bool number() {
    if (!is_ascii_digit(peek(at_))) return false;
    if (const std::size_t end = real_end(); end > at_) {
      const auto value = parse_real(text_.substr(at_, end - at_));
      tokens_.push_back({.kind = TokenKind::real, .line = line_, .real = value.value_or(0)});
      at_ = end;
      return true;
    }
    const std::size_t end = integer_end();
    tokens_.push_back({.kind = TokenKind::integer, .line = line_});
    try {
      tokens_.back().integer = parse_integer(text_.substr(at_, end - at_), 0).value_or(0);
    } catch (const Error&) {
      syntax_error(line_, "an integer literal does not fit 64 bits");
    }
    at_ = end;
    return true;
  }

  // digits . digits [exponent] or digits exponent, not after a dot.
  std::size_t real_end() const {
    if (at_ > 0 && text_[at_ - 1] == '.') return at_;
    std::size_t end = skip_digits(at_, is_ascii_digit);
    bool real = false;
    if (peek(end) == '.' && is_ascii_digit(peek(end + 1))) {
      end = skip_digits(end + 1, is_ascii_digit);
      real = true;
    }
    if (peek(end) == 'e' || peek(end) == 'E') {
      std::size_t digits = end + 1;
      if (peek(digits) == '+' || peek(digits) == '-') ++digits;
      const std::size_t exponent_end = skip_digits(digits, is_ascii_digit);
      if (exponent_end > digits) return exponent_end;
    }
    return real ? end : at_;
  }

  std::size_t integer_end() const {
    const char mark = static_cast<char>(peek(at_ + 1) | 0x20);
    if (peek(at_) == '0' && (mark == 'x' || mark == 'o' || mark == 'b')) {
      const auto is_digit = [mark](char c) {
        if (mark == 'x') return is_ascii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        return c >= '0' && c < (mark == 'o' ? '8' : '2');
      };
      const std::size_t start = at_ + 2 + (peek(at_ + 2) == '_' ? 1 : 0);
      const std::size_t end = skip_digits(start, is_digit);
      if (end > start) return end;
    }
    if (peek(at_) != '0') return skip_digits(at_, is_ascii_digit);
    return skip_digits(at_, [](char c) { return c == '0'; });
  }

  bool identifier() {
    std::size_t end = at_;
    while (end < text_.size()) {
      const text::CodePoint c = text::decode_utf8(text_, end);
      if (!(end == at_ ? is_identifier_start(c.value) : is_identifier_part(c.value))) break;
      end += c.length;
    }
    if (end == at_) return false;
    tokens_.push_back(
        {.kind = TokenKind::name, .line = line_, .text = std::string(text_.substr(at_, end - at_))});
    at_ = end;
    return true;
  }

  bool string() {
    const char quote = peek(at_);
    if (quote != '\'' && quote != '"') return false;
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    const std::string_view body = text_.substr(at_ + 1, end - at_ - 1);
    tokens_.push_back({.kind = TokenKind::string, .line = line_, .text = unescaped(body)});
    count_lines(body);
    at_ = end + 1;
    return true;
  }

  // Python's escapes; unknown ones stay as they are.
  std::string unescaped(std::string_view body) const {
    std::string out;
    for (std::size_t at = 0; at < body.size();) {
      if (body[at] != '\\') {
        out.push_back(body[at++]);
        continue;
      }
      const char c = body[at + 1];  // the scan for the quote stepped over whole escapes
      at += 2;
      constexpr std::string_view kNames = "abfnrtv\\'\"";
      constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
      if (const std::size_t known = kNames.find(c); known != std::string_view::npos) {
        out.push_back(kValues[known]);
      } else if (c >= '0' && c <= '7') {
        numeric_escape(out, body, --at, 3, 8, false);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        numeric_escape(out, body, at, c == 'x' ? 2 : (c == 'u' ? 4 : 8), 16, true);
      } else if (c == 'N') {
        syntax_error(line_, "character names in strings are not supported");
      } else if (c != '\n') {
        out.push_back('\\');
        out.push_back(c);
      }
    }
    return out;
  }

  void numeric_escape(std::string& out, std::string_view body, std::size_t& at, int digits, unsigned base,
                      bool all) const {
    char32_t code = 0;
    int read = 0;
    for (; read < digits && at < body.size(); ++read, ++at) {
      const char c = body[at];
      const unsigned value =
          is_ascii_digit(c) ? static_cast<unsigned>(c - '0') : static_cast<unsigned>((c | 0x20) - 'a' + 10);
      if (!(is_ascii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) || value >= base) break;
      code = code * base + value;
    }
    if (all && read < digits) syntax_error(line_, "truncated escape in a string");
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      syntax_error(line_, "an escape in a string is not a character");
    }
    text::append_utf8(out, code);
  }

  bool symbol() {
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [this](const Operator& o) { return follows(at_, o.text); });
    if (found == std::end(kOperators)) return false;
    balance(found->kind);
    push(found->kind);
    at_ += found->text.size();
    return true;
  }

  void balance(TokenKind kind) {
    switch (kind) {
      case TokenKind::left_brace:
        return brackets_.push_back(TokenKind::right_brace);
      case TokenKind::left_bracket:
        return brackets_.push_back(TokenKind::right_bracket);
      case TokenKind::left_paren:
        return brackets_.push_back(TokenKind::right_paren);
      case TokenKind::right_brace:
      case TokenKind::right_bracket:
      case TokenKind::right_paren:
        if (brackets_.empty()) syntax_error(line_, fmt::format("unexpected '{}'", describe(kind)));
        if (brackets_.back() != kind) {
          syntax_error(line_, fmt::format("unexpected '{}', expected '{}'", describe(kind),
                                          describe(brackets_.back())));
        }
        return brackets_.pop_back();
      default:
        return;
    }
  }

  std::string source_;
  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // what came before ended a line
  std::vector<TokenKind> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

std::string_view describe(TokenKind kind) {
  switch (kind) {
    case TokenKind::data:
      return "template data";
    case TokenKind::variable_begin:
      return "begin of print statement";
    case TokenKind::variable_end:
      return "end of print statement";
    case TokenKind::block_begin:
      return "begin of statement block";
    case TokenKind::block_end:
      return "end of statement block";
    case TokenKind::name:
      return "name";
    case TokenKind::string:
      return "string";
    case TokenKind::integer:
      return "integer";
    case TokenKind::real:
      return "float";
    case TokenKind::end:
      return "end of template";
    default:
      break;
  }
  const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                   [kind](const Operator& o) { return o.kind == kind; });
  return found->text;
}

std::string describe(const Token& token) {
  return token.kind == TokenKind::name ? token.text : std::string(describe(token.kind));
}

void syntax_error(int line, const std::string& message) {
  throw Error(ErrorKind::bad_file, fmt::format("chat template, line {}: {}", line, message));
}

}  // namespace medlar::jinja
