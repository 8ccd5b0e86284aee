// Token ids as text, and the tokenizer of a model file without the model.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace medlar::cli {

// Ids from numbers between commas or white space, or from JSON: [1, 2] or {"tokens": [1, 2]}.
// Throws Error(usage) naming `source`.
std::vector<text::TokenId> parse_token_ids(std::string_view text, std::string_view source);

// "1 2 3"
std::string join_token_ids(std::span<const text::TokenId> tokens);

// Reads the vocabulary only; a file without weights will do. Throws what opening a model file throws.
text::Tokenizer load_tokenizer(const std::filesystem::path& path);

}  // namespace medlar::cli
