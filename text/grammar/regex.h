// Regular expressions as grammars, and as the automata of characters that JSON Schema needs.
#pragma once

#include <string_view>

#include "text/grammar/dfa.h"
#include "text/grammar/rules.h"

namespace medlar::grammar {

// The texts that match the whole of `pattern`, in the notation of ECMA-262 with the flag u
// (docs/grammars.md). Throws Error(usage) with the position of what makes no sense, Error(unsupported) naming
// what no automaton can do, Error(limit) when the pattern is too large.
Rules parse_regex(std::string_view pattern);

enum class Match { whole, anywhere };
// The texts that match. Throws as parse_regex does.
Dfa regex_dfa(std::string_view pattern, Match match);

}  // namespace medlar::grammar
