// GBNF: the grammar notation that users of llama.cpp write.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "text/grammar/rules.h"
#include "text/grammar/vocabulary.h"

namespace medlar::grammar {

// Limits on one source text; docs/grammars.md lists them.
inline constexpr std::size_t kMaxSourceBytes = 2'000'000;
inline constexpr int kMaxNesting = 200;
inline constexpr std::uint32_t kMaxRepeat = 100'000;

// A rule that the source names and does not define: it is this grammar.
struct GbnfHole {
  std::string name;
  Rules rules;
};

// Throws Error(usage) with line and column of what makes no sense, Error(limit) when the text is too large.
Rules parse_gbnf(std::string_view source);
// Where the text of one of `tokens` stands in a text of the source, that very token is meant, and its text is
// not; what fills the holes is left as it is.
Rules parse_gbnf(std::string_view source, std::span<const GbnfHole> holes,
                 std::span<const Vocabulary::Token> tokens);

}  // namespace medlar::grammar
