#include "runtime/metal/encoding.h"

#include <algorithm>
#include <cstddef>

namespace medlar::runtime::metal {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kQualifiers = "rnNoORVA";  // const, in, inout, out, bycopy, byref, oneway, _Atomic

}  // namespace

std::string comparable(std::string_view encoding) {
  std::string text;
  for (std::size_t i = 0; i < encoding.size(); ++i) {
    const char c = encoding[i];
    if (kDigits.contains(c) || kQualifiers.contains(c)) continue;
    if (c == '"') {  // "NSString" after @
      i = std::min(encoding.find('"', i + 1), encoding.size());
    } else if (c == '?' && text.ends_with('@')) {  // a block
      continue;
    } else if (c == '{') {
      text += "{?";
      i = std::min(encoding.find_first_of("=}", i), encoding.size()) - 1;
    } else {
      text += c == 'c' ? 'B' : c == 'q' ? 'Q' : c;
    }
  }
  return text;
}

}  // namespace medlar::runtime::metal
