// Whether two models see a text as the same tokens.
#pragma once

#include <string_view>

#include "text/tokenizer.h"

namespace medlar::eval {

// Throws Error(usage) naming the first difference: of the vocabularies' sizes, of a token's text, of what is
// put in front, or of a token of `text`.
void check_same_tokens(const text::Tokenizer& model, const text::Tokenizer& base, std::string_view text);

}  // namespace medlar::eval
