// Sets of Unicode characters, and the UTF-8 byte sequences that spell them.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace medlar::grammar {

inline constexpr char32_t kLastCharacter = 0x10FFFF;

struct CharRange {
  char32_t first = 0, last = 0;  // both included
  bool operator==(const CharRange&) const = default;
};

// Ranges in order, neither touching nor overlapping. Surrogates may be in a set but have no spelling.
class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);

  void add(char32_t first, char32_t last);
  void add(const CharSet& other);
  CharSet complement() const;  // in [0, kLastCharacter], without surrogates
  CharSet minus(const CharSet& other) const;
  CharSet intersect(const CharSet& other) const;

  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t c) const;
  const std::vector<CharRange>& ranges() const { return ranges_; }
  bool operator==(const CharSet&) const = default;

  static CharSet all() { return CharSet().complement(); }

 private:
  std::vector<CharRange> ranges_;
};

struct ByteRange {
  std::uint8_t first = 0, last = 0;
  auto operator<=>(const ByteRange&) const = default;
};

// One to four byte ranges: every choice of a byte from each is the UTF-8 of one character.
struct Utf8Sequence {
  std::array<ByteRange, 4> bytes;
  int length = 0;
};

// The spellings of a set, each character by exactly one sequence (Unicode 15, table 3-7).
std::vector<Utf8Sequence> utf8_sequences(const CharSet& set);

}  // namespace medlar::grammar
