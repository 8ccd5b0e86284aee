// The named sets of characters that patterns use.
#pragma once

#include <optional>
#include <string_view>

#include "text/grammar/char_set.h"

namespace medlar::grammar {

// \d \D \w \W \s \S, nothing for other letters. Engines disagree about characters beyond ASCII; a set has
// only what all of them agree on, so that \w is [A-Za-z0-9_] and \W leaves out the letters of all scripts.
std::optional<CharSet> shorthand_class(char kind);

// A general category of Unicode, short ("Lu") or long ("Letter"), or "ASCII" or "Any"; nothing for others.
std::optional<CharSet> property_class(std::string_view name);

}  // namespace medlar::grammar
