// Ranges stay sorted and merged; UTF-8 is split where the length or a continuation byte's range changes.
#include "text/grammar/char_set.h"

#include <algorithm>

namespace medlar::grammar {
namespace {

constexpr CharRange kSurrogates{0xD800, 0xDFFF};

// How many bytes spell the characters up to here.
constexpr std::array<char32_t, 4> kLastOfLength = {0x7F, 0x7FF, 0xFFFF, kLastCharacter};

std::array<std::uint8_t, 4> spell(char32_t c, int length) {
  std::array<std::uint8_t, 4> bytes{};
  for (int i = length - 1; i > 0; --i) {
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(0x80 | (c & 0x3F));
    c >>= 6;
  }
  constexpr std::array<std::uint8_t, 5> kLead = {0, 0, 0xC0, 0xE0, 0xF0};
  bytes[0] = static_cast<std::uint8_t>(kLead[static_cast<std::size_t>(length)] | c);
  return bytes;
}

// Splits [first, last], all of one length, until every byte position is a range of its own.
void split(char32_t first, char32_t last, int length, std::vector<Utf8Sequence>& out) {
  for (int tail = 1; tail < length; ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~mask) == (last & ~mask)) break;
    if ((first & mask) != 0) {
      split(first, first | mask, length, out);
      split((first | mask) + 1, last, length, out);
      return;
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, length, out);
      split(last & ~mask, last, length, out);
      return;
    }
  }
  Utf8Sequence sequence{.bytes = {}, .length = length};
  const auto low = spell(first, length), high = spell(last, length);
  for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i) sequence.bytes[i] = {low[i], high[i]};
  out.push_back(sequence);
}

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) {
  for (const CharRange& r : ranges) add(r.first, r.last);
}

void CharSet::add(char32_t first, char32_t last) {
  if (first > last) return;
  // The ranges that touch [first, last] become one.
  auto begin = std::ranges::lower_bound(ranges_, first, {}, [](const CharRange& r) { return r.last + 1; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last + 1; ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), {first, last});
}

void CharSet::add(const CharSet& other) {
  for (const CharRange& r : other.ranges_) add(r.first, r.last);
}

CharSet CharSet::complement() const {
  CharSet with_surrogates = *this;
  with_surrogates.add(kSurrogates.first, kSurrogates.last);
  CharSet result;
  char32_t next = 0;
  for (const CharRange& r : with_surrogates.ranges_) {
    if (r.first > next) result.ranges_.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLastCharacter) result.ranges_.push_back({next, kLastCharacter});
  return result;
}

CharSet CharSet::minus(const CharSet& other) const { return intersect(other.complement()); }

CharSet CharSet::intersect(const CharSet& other) const {
  CharSet result;
  auto a = ranges_.begin(), b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const char32_t first = std::max(a->first, b->first), last = std::min(a->last, b->last);
    if (first <= last) result.ranges_.push_back({first, last});
    (a->last < b->last ? a : b)++;
  }
  return result;
}

bool CharSet::contains(char32_t c) const {
  const auto r = std::ranges::lower_bound(ranges_, c, {}, &CharRange::last);
  return r != ranges_.end() && r->first <= c;
}

std::vector<Utf8Sequence> utf8_sequences(const CharSet& set) {
  std::vector<Utf8Sequence> out;
  const CharSet spelled = set.intersect(CharSet::all());
  for (const CharRange& r : spelled.ranges()) {
    char32_t first = r.first;
    for (int length = 1; length <= 4 && first <= r.last; ++length) {
      const char32_t last = std::min(r.last, kLastOfLength[static_cast<std::size_t>(length - 1)]);
      if (first > last) continue;
      split(first, last, length, out);
      first = last + 1;
    }
  }
  return out;
}

}  // namespace medlar::grammar
