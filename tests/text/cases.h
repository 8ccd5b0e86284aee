// Reading test vectors: texts separated by a line "__ggml_vocab_test__", expected ids a line each.
#pragma once

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace medlar::text {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorKind::not_found, "{}: cannot be read", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The newlines around a separator belong to it, and one at the end of the file ends the last case.
inline std::vector<std::string> split_cases(std::string_view text) {
  constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> cases;
  while (!text.empty()) {
    const std::size_t end = text.find(kSeparator);
    cases.emplace_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + kSeparator.size());
  }
  return cases;
}

inline std::vector<std::vector<int>> read_ids(const std::string& text) {
  std::vector<std::vector<int>> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    lines.emplace_back(std::istream_iterator<int>(words), std::istream_iterator<int>());
  }
  return lines;
}

}  // namespace medlar::text
