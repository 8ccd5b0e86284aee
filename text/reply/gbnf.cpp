// Literals and character classes escaped, and text without a word as the automaton that looks for it.
#include "text/reply/gbnf.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/unicode.h"

namespace medlar::reply {
namespace {

// A character within brackets.
std::string in_class(char32_t c) {
  const auto code = static_cast<unsigned>(c);
  return c < 0x80      ? fmt::format("\\x{:02X}", code)
         : c < 0x10000 ? fmt::format("\\u{:04X}", code)
                       : fmt::format("\\U{:08X}", code);
}

std::u32string characters(std::string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    result += c.value;
    at += c.length;
  }
  return result;
}

// How much of `word` stands at the end of its first `length` characters and `next` (Knuth, Morris, Pratt
// 1977).
std::size_t longest_beginning(std::u32string_view word, std::size_t length, char32_t next) {
  std::u32string seen(word.substr(0, length));
  seen += next;
  for (std::size_t n = std::min(seen.size(), word.size()); n > 0; --n) {
    if (std::u32string_view(seen).ends_with(word.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

std::string gbnf_literal(std::string_view text) {
  if (text.empty()) return {};
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += in_class(static_cast<char32_t>(c));
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
  return out;
}

std::string gbnf_sequence(std::string_view a, std::string_view b) {
  return a.empty() || b.empty() ? fmt::format("{}{}", a, b) : fmt::format("{} {}", a, b);
}

std::string gbnf_choice(const std::vector<std::string>& choices) {
  return choices.size() == 1 ? choices.front() : fmt::format("({})", fmt::join(choices, " | "));
}

void Gbnf::rule(std::string_view name, std::string_view expression) {
  text_ += fmt::format("{} ::= {}\n", name, expression.empty() ? "\"\"" : expression);
}

void Gbnf::shared_rule(std::string_view name, std::string_view expression) {
  if (shared_.emplace(name).second) rule(name, expression);
}

// One rule for each length of the word's beginning that the text so far ends with.
std::string Gbnf::text_without(std::string_view word) {
  const auto known = std::find(words_.begin(), words_.end(), word);
  const std::string name = fmt::format("text-{}", known - words_.begin());
  if (known != words_.end()) return name + "-0";
  words_.emplace_back(word);
  const std::u32string letters = characters(word);
  std::u32string alphabet = letters;
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  for (std::size_t length = 0; length < letters.size(); ++length) {
    std::string elsewhere;
    std::vector<std::string> ways;
    for (const char32_t c : alphabet) {
      const std::size_t next = longest_beginning(letters, length, c);
      if (next > 0) elsewhere += in_class(c);
      if (next > 0 && next < letters.size())
        ways.push_back(fmt::format("[{}] {}-{}", in_class(c), name, next));
    }
    ways.push_back(fmt::format("[^{}] {}-0", elsewhere, name));
    rule(fmt::format("{}-{}", name, length), fmt::format("({})?", fmt::join(ways, " | ")));
  }
  return name + "-0";
}

}  // namespace medlar::reply
