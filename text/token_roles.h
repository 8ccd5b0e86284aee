// Which tokens have a role in a vocabulary, from the file's keys, the kind's defaults and well-known names.
#pragma once

#include <vector>

#include "text/token_spec.h"
#include "text/token_table.h"

namespace medlar::text {

struct TokenRoles {
  SpecialTokens special;
  std::vector<TokenId> ends;  // sorted
};

// The ids of the file, else `defaults` as far as they exist, else tokens with well-known names. Tokens that
// end a turn become control tokens in `tokens`, whatever the file calls them. Throws Error(bad_file) naming
// the key of an id that is no token.
TokenRoles find_roles(const SpecialIds& ids, const SpecialTokens& defaults, TokenTable& tokens);

}  // namespace medlar::text
