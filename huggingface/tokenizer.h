// A folder's tokenizer as the tokenizer.* keys of GGUF.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/gguf_values.h"
#include "huggingface/config.h"

namespace medlar::huggingface {

// Numbered as in tokenizer.ggml.token_type.
enum class TokenKind : std::int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

// One entry for each row of the embedding.
struct Vocabulary {
  std::vector<std::string> texts;
  std::vector<TokenKind> kinds;
  std::vector<float> scores;  // of SentencePiece, else empty

  // `size` unused tokens, "[PAD7]" and so on.
  static Vocabulary of_size(std::int64_t size);
  // Throws Error(bad_file) "SOURCE: ..." where the id is no row.
  void set(std::int64_t id, std::string text, TokenKind kind, std::string_view source);
};

// The files of a tokenizer; those that are missing are empty.
struct TokenizerFiles {
  std::filesystem::path folder;
  Config tokenizer;  // tokenizer.json
  Config config;     // tokenizer_config.json
  Config model;      // config.json
};

// Throws Error: not_found without a tokenizer; unsupported naming a kind or a pre-tokenizer that is not
// known; bad_file naming file and field.
void add_tokenizer(const std::filesystem::path& folder, const Config& config, std::int64_t vocabulary,
                   gguf::Values& values);

// The name under which GGUF knows tokenizer.json's pre-tokenizer, by its structure. Throws
// Error(unsupported) describing one that none of the known ones is.
std::string_view pre_tokenizer_name(const TokenizerFiles& files);

// Ids of tokens with a role, which of them are added to every text, and the chat template.
void add_special_tokens(const TokenizerFiles& files, std::int64_t vocabulary, gguf::Values& values);

// tokenizer.model, SentencePiece's own file. Throws Error(bad_file) naming it.
Vocabulary read_sentencepiece(const std::filesystem::path& path, std::int64_t size);

}  // namespace medlar::huggingface
