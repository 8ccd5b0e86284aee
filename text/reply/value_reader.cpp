// A pushdown automaton over bytes; what it emits is JSON already.
#include "text/reply/value_reader.h"

#include <utility>

#include "text/reply/json_text.h"
#include "text/reply/pattern.h"
#include "text/unicode.h"

namespace medlar::reply {
namespace {

constexpr char kMembers = ' ';

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20; }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_json_number(std::string_view text) {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t begin = i;
    while (i < text.size() && is_digit(text[i])) ++i;
    return i - begin;
  };
  if (i < text.size() && text[i] == '-') ++i;
  const bool zero = i < text.size() && text[i] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (digits() == 0) return false;
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    ++i;
    if (i < text.size() && (text[i] == '+' || text[i] == '-')) ++i;
    if (digits() == 0) return false;
  }
  return i == text.size();
}

// A literal outside of JSON as JSON has it; empty where it has none. Python writes 1. and .5 too.
std::string json_literal(std::string_view text) {
  if (text == "true" || text == "True") return "true";
  if (text == "false" || text == "False") return "false";
  if (text == "null" || text == "None") return "null";
  if (is_json_number(text)) return std::string(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  std::string number;
  if (text.starts_with('-')) {
    number += '-';
    text.remove_prefix(1);
  }
  if (text.starts_with('.')) number += '0';
  number += text;
  if (number.ends_with('.')) number += '0';
  return is_json_number(number) ? number : std::string();
}

bool is_high_surrogate(char32_t code) { return code >= 0xD800 && code < 0xDC00; }
bool is_low_surrogate(char32_t code) { return code >= 0xDC00 && code < 0xE000; }

}  // namespace

void ValueReader::open_members(std::function<bool(std::string_view)> is_text, std::string& out) {
  is_text_ = std::move(is_text);
  closers_.push_back(kMembers);
  out += '{';
  at_ = At::first_key;
}

std::size_t ValueReader::feed(std::string_view text, std::string& out) {
  std::size_t i = 0;
  while (i < text.size() && state_ == State::reading) {
    const char c = text[i];
    const bool in_string = at_ == At::string;
    const bool before = closers_.empty() && at_ == At::value;
    if (!step(c, out)) continue;
    ++i;
    if (!verbatim() || state_ == State::bad || (before && is_space(c))) continue;
    if (in_string) {
      append_escaped(out, is_control(c) ? text.substr(i - 1, 1) : std::string_view());
      if (!is_control(c)) out += c;
    } else {
      out += c;
    }
  }
  return i;
}

ValueReader::State ValueReader::finish(std::string& out) {
  if (state_ == State::reading && at_ == At::scalar && closers_.empty()) end_scalar(out);
  if (state_ == State::reading) state_ = State::bad;
  return state_;
}

// Whether the byte was taken; where not, the state has changed.
bool ValueReader::step(char c, std::string& out) {
  switch (at_) {
    case At::value:
    case At::first_value:
      return step_value(c, out);
    case At::first_key:
    case At::key:
    case At::bare_key:
      return step_key(c, out);
    case At::separator:
      if (is_space(c)) return true;
      if (c != (closers_.back() == kMembers && notation_ == Notation::keywords ? '=' : ':')) return bad();
      if (!verbatim()) out += ": ";
      at_ = At::value;
      return true;
    case At::comma:
      return step_comma(c, out);
    case At::string:
    case At::quote:
      return step_string(c, out);
    case At::escape:
    case At::low_escape:
    case At::low_u:
      return step_escape(c, out);
    case At::digits:
      return step_digit(c, out);
    case At::scalar:
      return step_scalar(c, out);
  }
  return bad();
}

bool ValueReader::bad() {
  state_ = State::bad;
  return false;
}

bool ValueReader::closes(char c) const {
  if (closers_.empty()) return false;
  if (closers_.back() == kMembers) return c == (notation_ == Notation::keywords ? ')' : '}');
  return c == closers_.back();
}

bool ValueReader::step_value(char c, std::string& out) {
  if (is_space(c)) return true;
  if (at_ == At::first_value && closes(c)) {
    close(out);
    return true;
  }
  const bool bracket = c == '{' || c == '[' || (c == '(' && notation_ == Notation::keywords);
  if (bracket && closers_.size() >= max_depth_) return bad();
  begin_element(out);
  if (bracket) {
    open(c, out);
    return true;
  }
  in_key_ = false;
  const bool quote = c == '"' || (c == '\'' && notation_ == Notation::keywords);
  if (quote || (!quote_.empty() && c == quote_[0])) {
    begin_string(c, out);
    return true;
  }
  token_.clear();
  at_ = At::scalar;
  return false;
}

bool ValueReader::step_key(char c, std::string& out) {
  const bool members = closers_.back() == kMembers;
  if (at_ == At::bare_key) {
    if (c == ':' || c == '=' || is_space(c)) {
      end_key(out);
    } else if (c == ',' || c == '"' || c == '\'' || c == '{' || c == '}' || c == '(' || c == ')') {
      return bad();
    } else {
      token_ += c;
      return true;
    }
    return false;
  }
  if (is_space(c)) return true;
  if (at_ == At::first_key && closes(c)) {
    close(out);
    return !members;
  }
  begin_element(out);
  token_.clear();
  in_key_ = true;
  const bool quote = c == '"' || (c == '\'' && notation_ == Notation::keywords);
  if (!(members && notation_ == Notation::keywords) && (quote || (!quote_.empty() && c == quote_[0]))) {
    begin_string(c, out);
    return true;
  }
  if (!members && notation_ != Notation::pairs) return bad();
  at_ = At::bare_key;
  return false;
}

bool ValueReader::step_comma(char c, std::string& out) {
  if (is_space(c)) return true;
  if (closes(c)) {
    const bool members = closers_.back() == kMembers;
    close(out);
    return !members;
  }
  if (c != ',') return bad();
  comma_ = true;
  const bool object = closers_.back() == '}' || closers_.back() == kMembers;
  // Python allows a comma before the end.
  at_ = object ? (verbatim() ? At::key : At::first_key) : (verbatim() ? At::value : At::first_value);
  return true;
}

void ValueReader::begin_string(char c, std::string& out) {
  delimiter_ = c;
  at_ = At::string;
  matched_ = 0;
  high_ = 0;
  if (!quote_.empty() && c == quote_[0]) {
    matched_ = 1;
    at_ = At::quote;
  }
  if (!verbatim() && !in_key_) out += '"';
}

bool ValueReader::step_string(char c, std::string& out) {
  const bool marked = !quote_.empty() && delimiter_ == quote_[0];
  if (at_ == At::quote) {
    if (c != quote_[matched_]) return bad();
    if (++matched_ == quote_.size()) {
      at_ = At::string;
      matched_ = 0;
    }
    return true;
  }
  if (marked) {
    if (c == quote_[matched_]) {
      if (++matched_ == quote_.size()) end_string(out);
      return true;
    }
    if (matched_ > 0) {
      append(quote_.substr(0, matched_), out);
      matched_ = 0;
      return false;
    }
    append({&c, 1}, out);
    return true;
  }
  if (c == delimiter_) {
    end_string(out);
  } else if (c == '\\') {
    at_ = At::escape;
  } else {
    append({&c, 1}, out);
  }
  return true;
}

void ValueReader::append(std::string_view text, std::string& out) {
  if (in_key_) {
    token_ += text;
  } else if (!verbatim()) {
    append_escaped(out, text);
  }
}

void ValueReader::end_string(std::string& out) {
  if (in_key_) return end_key(out);
  if (!verbatim()) out += '"';
  after_value();
}

// Keys are written when they are complete; JSON's have been copied.
void ValueReader::end_key(std::string& out) {
  in_key_ = false;
  if (!verbatim()) out += quoted(token_);
  want_text_ = closers_.back() == kMembers && is_text_ && is_text_(token_);
  at_ = At::separator;
}

bool ValueReader::step_escape(char c, std::string& out) {
  if (at_ == At::low_escape || at_ == At::low_u) {
    if (c != (at_ == At::low_escape ? '\\' : 'u')) return bad();
    if (at_ == At::low_escape) {
      at_ = At::low_u;
      return true;
    }
  }
  at_ = At::string;
  code_ = 0;
  digits_left_ = c == 'u' ? 4 : 0;
  constexpr std::string_view kLetters = "nrtbf";
  constexpr std::string_view kMeanings = "\n\r\t\b\f";
  const std::size_t letter = kLetters.find(c);
  if (letter != std::string_view::npos) {
    append(kMeanings.substr(letter, 1), out);
  } else if (c == '"' || c == '\\' || (c == '/' && notation_ != Notation::keywords)) {
    append({&c, 1}, out);
  } else if (digits_left_ == 0) {
    if (notation_ != Notation::keywords) return bad();
    if (c == 'x' || c == 'U') {
      digits_left_ = c == 'x' ? 2 : 8;
    } else if (c == '\'') {
      append({&c, 1}, out);
    } else if (c == '0') {
      append(std::string_view("\0", 1), out);
    } else if (c != '\n') {  // an escaped line break is none; what is no escape stands for itself
      append("\\", out);
      append({&c, 1}, out);
    }
  }
  if (digits_left_ > 0) at_ = At::digits;
  return true;
}

bool ValueReader::step_digit(char c, std::string& out) {
  const int value = hex_value(c);
  if (value < 0) return bad();
  code_ = code_ * 16 + static_cast<char32_t>(value);
  if (--digits_left_ == 0) end_code(out);
  return true;
}

void ValueReader::end_code(std::string& out) {
  at_ = At::string;
  const char32_t high = std::exchange(high_, 0);
  if (high != 0 && is_low_surrogate(code_)) {
    code_ = 0x10000 + ((high - 0xD800) << 10) + (code_ - 0xDC00);
  } else if (high != 0 || is_low_surrogate(code_) || code_ > 0x10FFFF) {
    bad();
    return;
  }
  if (is_high_surrogate(code_)) {
    high_ = code_;
    at_ = At::low_escape;
    return;
  }
  std::string character;
  text::append_utf8(character, code_);
  append(character, out);
}

bool ValueReader::step_scalar(char c, std::string& out) {
  if (c == ',' || c == ']' || c == '}' || c == ')' || c == ':' || is_space(c)) {
    end_scalar(out);
    return false;
  }
  if (c == '"' || c == '[' || c == '{') return bad();
  token_ += c;
  return true;
}

void ValueReader::end_scalar(std::string& out) {
  const bool word = token_ == "true" || token_ == "false" || token_ == "null";
  if (verbatim()) {
    if (!word && !is_json_number(token_)) {
      bad();
      return;
    }
  } else {
    const bool none = token_ == "None" || token_ == "null";
    const bool text = want_text_ && closers_.size() == 1 && !none && !token_.empty();
    const std::string literal = text ? quoted(token_) : json_literal(token_);
    if (literal.empty()) {
      bad();
      return;
    }
    out += literal;
  }
  after_value();
}

void ValueReader::open(char bracket, std::string& out) {
  closers_.push_back(bracket == '{' ? '}' : bracket == '[' ? ']' : ')');
  if (!verbatim()) out += bracket == '{' ? '{' : '[';
  at_ = bracket == '{' ? At::first_key : At::first_value;
}

void ValueReader::close(std::string& out) {
  const char closer = closers_.back();
  closers_.pop_back();
  comma_ = false;
  if (!verbatim()) out += closer == '}' || closer == kMembers ? '}' : ']';
  after_value();
}

void ValueReader::after_value() {
  if (closers_.empty()) {
    state_ = State::done;
  } else {
    at_ = At::comma;
  }
}

void ValueReader::begin_element(std::string& out) {
  if (comma_ && !verbatim()) out += ", ";
  comma_ = false;
}

}  // namespace medlar::reply
