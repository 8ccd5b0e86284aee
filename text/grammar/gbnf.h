// GBNF: the grammar notation that users of llama.cpp write.
#pragma once

#include <string_view>

#include "text/grammar/rules.h"

namespace medlar::grammar {

// Limits on one source text; docs/grammars.md lists them.
inline constexpr std::size_t kMaxSourceBytes = 2'000'000;
inline constexpr int kMaxNesting = 200;
inline constexpr std::uint32_t kMaxRepeat = 100'000;

// Throws Error(usage) with line and column of what makes no sense, Error(limit) when the text is too large.
Rules parse_gbnf(std::string_view source);

}  // namespace medlar::grammar
