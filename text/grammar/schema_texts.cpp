// Intersections of what each keyword allows.
#include "text/grammar/schema_texts.h"

#include "text/grammar/regex.h"
#include "text/unicode.h"

namespace medlar::grammar {
namespace {

constexpr std::uint32_t kExactDigits = 15;  // a double tells all numbers of so many digits apart

Dfa within(Dfa texts, const Shape& shape) {
  for (const Bound& b : shape.bounds) texts = Dfa::both(texts, compared(b.relation, b.value));
  return texts;
}

}  // namespace

Dfa integer_texts(const Shape& shape) {
  Dfa texts = within(regex_dfa(kIntegerPattern, Match::whole), shape);
  for (const std::uint32_t n : shape.multiples) texts = Dfa::both(texts, multiples(n));
  return texts;
}

Dfa fraction_texts(const Shape& shape) {
  return within(Dfa::both(regex_dfa(kFractionPattern, Match::whole), digits_at_most(kExactDigits)), shape);
}

Dfa number_texts(const Shape& shape) {
  return within(Dfa::both(regex_dfa(kDecimalPattern, Match::whole), digits_at_most(kExactDigits)), shape);
}

Dfa string_texts(const Shape& shape) {
  Dfa texts = Dfa::lengths(shape.min_length, shape.max_length);
  for (const auto& pattern : shape.patterns) texts = Dfa::both(texts, *pattern);
  return texts;
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

}  // namespace medlar::grammar
