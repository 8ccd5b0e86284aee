// Where a model's turn ends, and which chat format its special tokens imply when the file has no template.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "checkpoint/gguf.h"
#include "text/tokenizer.h"

namespace medlar {

// Tokens after which the model has nothing more to say, sorted: those the file names (eos, eot, eom) and those whose
// text is a known end-of-turn marker, because many published files name only one of them.
std::vector<std::int32_t> end_tokens(const gguf::Metadata& metadata, const text::Tokenizer& tokenizer);

}  // namespace medlar
