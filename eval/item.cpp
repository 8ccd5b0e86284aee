#include "eval/item.h"

#include <algorithm>

#include "text/unicode.h"

namespace medlar::eval {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

std::u32string characters(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::decode_utf8(text, at);
    out.push_back(c.value);
    at += c.length;
  }
  return out;
}

}  // namespace

bool is_right(const Item& item, std::string_view text) {
  const std::string_view said = trimmed(text);
  if (item.pattern) return item.pattern->accepts(characters(said));
  return std::ranges::any_of(item.expected, [&](std::string_view e) { return trimmed(e) == said; });
}

}  // namespace medlar::eval
