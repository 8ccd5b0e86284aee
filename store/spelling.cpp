#include "store/spelling.h"

#include <algorithm>
#include <cctype>

namespace medlar::store {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string normalized_package(std::string_view name) {
  std::string out;
  for (const char c : lower(name)) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator) out += c;
    if (separator && !out.ends_with('-')) out += '-';
  }
  return out;
}

}  // namespace medlar::store
