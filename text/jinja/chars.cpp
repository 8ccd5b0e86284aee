// Characters by Unicode category, with the exceptions of char_tables.h. Case mappings are the full ones.
#include "text/jinja/chars.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <utf8proc.h>

#include "text/jinja/char_tables.h"
#include "text/unicode.h"

namespace medlar::jinja {
namespace {

using text::append_utf8;
using text::CodePoint;
using text::decode_utf8;

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

template <std::size_t N>
bool contains(const CharRange (&ranges)[N], char32_t c) {
  const auto* range = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                       [](char32_t v, const CharRange& r) { return v < r.first; });
  return range != std::begin(ranges) && c <= std::prev(range)->last;
}

const CaseExpansion* expansion(char32_t c) {
  const auto* found = std::lower_bound(std::begin(kCaseExpansions), std::end(kCaseExpansions), c,
                                       [](const CaseExpansion& e, char32_t v) { return e.code < v; });
  return found != std::end(kCaseExpansions) && found->code == c ? found : nullptr;
}

bool is_ascii(char32_t c) { return c < 0x80; }
char32_t ascii_upper(char32_t c) { return c >= 'a' && c <= 'z' ? c - 32 : c; }
char32_t ascii_lower(char32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

void append_upper(std::string& out, char32_t c) {
  if (is_ascii(c)) {
    out.push_back(static_cast<char>(ascii_upper(c)));
  } else if (const CaseExpansion* e = expansion(c)) {
    out += e->upper;
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string& out, char32_t c) {
  if (is_ascii(c)) {
    out.push_back(static_cast<char>(ascii_upper(c)));
  } else if (const CaseExpansion* e = expansion(c)) {
    out += e->title;
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
  }
}

// Characters that the rule of the final sigma looks through.
bool is_case_ignorable(char32_t c) {
  switch (category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      constexpr std::u32string_view kWordBreakers =
          U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52\uFE55\uFF07\uFF0E\uFF1A";
      return kWordBreakers.find(c) != std::u32string_view::npos;
  }
}

template <class Wanted, class Other>
bool all_of_case(std::string_view text, Wanted wanted, Other other) {
  bool any = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    at += c.length;
    if (other(c.value) || is_title(c.value)) return false;
    any = any || wanted(c.value);
  }
  return any;
}

bool is_cased(char32_t c) { return is_lower(c) || is_upper(c) || is_title(c); }

// A sigma is final when a cased character stands before it and none after it, case-ignorable ones aside.
bool is_final_sigma(std::string_view text, std::size_t at, std::size_t after) {
  bool before = false;
  for (std::size_t i = at; i > 0 && !before;) {
    do --i;
    while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80);
    const char32_t c = decode_utf8(text, i).value;
    if (is_case_ignorable(c)) continue;
    if (!is_cased(c)) return false;
    before = true;
  }
  if (!before) return false;
  for (std::size_t i = after; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    if (!is_case_ignorable(c.value)) return !is_cased(c.value);
    i += c.length;
  }
  return true;
}

constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kFinalSigma = 0x3C2;
constexpr char32_t kDottedCapitalI = 0x130;

void append_lower(std::string& out, std::string_view text, std::size_t at, const CodePoint& c) {
  if (is_ascii(c.value)) {
    out.push_back(static_cast<char>(ascii_lower(c.value)));
  } else if (c.value == kDottedCapitalI) {
    out += "i\u0307";
  } else if (c.value == kCapitalSigma && is_final_sigma(text, at, at + c.length)) {
    append_utf8(out, kFinalSigma);
  } else {
    append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.value))));
  }
}

// Calls f(position, character) for every character; bytes that are not UTF-8 count as U+FFFD.
template <class F>
std::string rewrite(std::string_view text, F f) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    f(out, at, c);
    at += c.length;
  }
  return out;
}

}  // namespace

bool is_space(char32_t c) {
  if (is_ascii(c)) return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_alpha(char32_t c) {
  if (is_ascii(c)) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  const auto k = category(c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) {
  return is_ascii(c) ? c >= '0' && c <= '9' : category(c) == UTF8PROC_CATEGORY_ND;
}
bool is_digit(char32_t c) { return is_decimal(c) || contains(kOtherDigit, c); }
bool is_numeric(char32_t c) {
  if (is_ascii(c)) return is_decimal(c);
  const auto k = category(c);
  return (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) || contains(kOtherNumeric, c);
}
bool is_alnum(char32_t c) { return is_alpha(c) || is_numeric(c); }

bool is_lower(char32_t c) {
  if (is_ascii(c)) return c >= 'a' && c <= 'z';
  return category(c) == UTF8PROC_CATEGORY_LL || contains(kOtherLower, c);
}
bool is_upper(char32_t c) {
  if (is_ascii(c)) return c >= 'A' && c <= 'Z';
  return category(c) == UTF8PROC_CATEGORY_LU || contains(kOtherUpper, c);
}
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_printable(char32_t c) {
  if (is_ascii(c)) return c >= 0x20 && c < 0x7F;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_identifier_start(char32_t c) {
  return c == '_' || is_alpha(c) || (!is_ascii(c) && category(c) == UTF8PROC_CATEGORY_NL);
}
bool is_identifier_part(char32_t c) {
  if (is_identifier_start(c) || is_decimal(c)) return true;
  if (is_ascii(c)) return false;
  const auto k = category(c);
  return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_PC;
}

bool is_line_end(char32_t c) {
  return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

int decimal_value(char32_t c) {
  if (!is_decimal(c)) return -1;
  // Digits come in runs of whole decades that start at a zero.
  int offset = 0;
  while (is_decimal(c - 1 - static_cast<char32_t>(offset))) ++offset;
  return offset % 10;
}

bool all_lower(std::string_view text) { return all_of_case(text, is_lower, is_upper); }
bool all_upper(std::string_view text) { return all_of_case(text, is_upper, is_lower); }

bool all_title(std::string_view text) {
  bool any = false;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = decode_utf8(text, at);
    at += c.length;
    const bool capital = is_upper(c.value) || is_title(c.value);
    if (capital ? inside : (is_lower(c.value) && !inside)) return false;
    inside = capital || is_lower(c.value);
    any = any || inside;
  }
  return any;
}

std::string to_upper(std::string_view text) {
  return rewrite(text, [](std::string& out, std::size_t, const CodePoint& c) { append_upper(out, c.value); });
}

std::string to_lower(std::string_view text) {
  return rewrite(
      text, [text](std::string& out, std::size_t at, const CodePoint& c) { append_lower(out, text, at, c); });
}

std::string to_folded(std::string_view text) {
  return rewrite(text, [](std::string& out, std::size_t, const CodePoint& c) {
    if (is_ascii(c.value)) {
      out.push_back(static_cast<char>(ascii_lower(c.value)));
      return;
    }
    std::array<utf8proc_int32_t, 8> folded;
    int boundary = 0;
    const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), folded.data(),
                                           folded.size(), UTF8PROC_CASEFOLD, &boundary);
    for (utf8proc_ssize_t i = 0; i < n; ++i) append_utf8(out, static_cast<char32_t>(folded[i]));
  });
}

std::string to_capitalized(std::string_view text) {
  return rewrite(text, [text](std::string& out, std::size_t at, const CodePoint& c) {
    if (at == 0) {
      append_title(out, c.value);
    } else {
      append_lower(out, text, at, c);
    }
  });
}

std::string to_title(std::string_view text) {
  bool inside = false;
  return rewrite(text, [text, &inside](std::string& out, std::size_t at, const CodePoint& c) {
    if (inside) {
      append_lower(out, text, at, c);
    } else {
      append_title(out, c.value);
    }
    inside = is_cased(c.value);
  });
}

std::string swap_case(std::string_view text) {
  return rewrite(text, [text](std::string& out, std::size_t at, const CodePoint& c) {
    if (is_upper(c.value)) {
      append_lower(out, text, at, c);
    } else if (is_lower(c.value)) {
      append_upper(out, c.value);
    } else {
      append_utf8(out, c.value);
    }
  });
}

}  // namespace medlar::jinja
