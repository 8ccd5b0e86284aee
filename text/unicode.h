// UTF-8: strict decoding of single characters, and finding where a text stops being well-formed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace medlar::text {

inline constexpr char32_t kReplacement = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

struct CodePoint {
  char32_t value = kReplacement;
  std::uint32_t length = 1;  // bytes
  bool valid = false;
};

// The character at text[at], at < text.size(). A byte that starts no well-formed sequence (Unicode table 3-7:
// no surrogates, no overlong forms, nothing above U+10FFFF) is U+FFFD of length 1, not valid.
CodePoint decode_utf8(std::string_view text, std::size_t at);

// Bytes of the longest well-formed prefix.
std::size_t valid_utf8_prefix(std::string_view text);

// Bytes at text[at] that start a well-formed sequence, as far as they are there: its whole length, or less
// when the text ends first or a byte does not fit. At least 1: a byte that starts nothing stands alone.
std::size_t utf8_subpart(std::string_view text, std::size_t at);

// True when text[at..] is the beginning of a well-formed sequence that the text's end cuts short.
bool utf8_cut_short(std::string_view text, std::size_t at);

void append_utf8(std::string& out, char32_t code);

}  // namespace medlar::text
