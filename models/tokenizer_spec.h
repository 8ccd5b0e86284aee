// A tokenizer's spec from the tokenizer.* keys of a GGUF file.
#pragma once

#include <cstdint>

#include "checkpoint/gguf_metadata.h"
#include "text/token_spec.h"

namespace medlar::models {

// Views into the metadata, which must outlive the spec. Throws Error(bad_file) naming a key of the wrong type
// or one that is missing.
text::TokenizerSpec tokenizer_spec(const gguf::Metadata& metadata);

// About how much memory the tokenizer of that spec takes, in bytes.
std::int64_t tokenizer_bytes(const gguf::Metadata& metadata);

}  // namespace medlar::models
