// What a tokenizer is made from: a vocabulary and its settings, as a model file states them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace medlar::text {

using TokenId = std::int32_t;
inline constexpr TokenId kNoToken = -1;

// Numbered as in tokenizer.ggml.token_type.
enum class TokenType : std::uint8_t {
  undefined = 0,
  normal = 1,
  unknown = 2,
  control = 3,       // parsed from text only on request, shown only on request
  user_defined = 4,  // always found in text before anything else, always shown
  unused = 5,
  byte = 6,  // "<0x0A>": one byte that no other token covers
};

// The tokens with a role; kNoToken where the vocabulary has none.
struct SpecialTokens {
  TokenId bos = kNoToken;  // beginning of sequence; BERT's [CLS]
  TokenId eos = kNoToken;  // end of sequence
  TokenId eot = kNoToken;  // end of turn
  TokenId eom = kNoToken;  // end of message (a tool call follows)
  TokenId unk = kNoToken;
  TokenId sep = kNoToken;
  TokenId pad = kNoToken;
  TokenId mask = kNoToken;
  TokenId fim_prefix = kNoToken;  // fill in the middle
  TokenId fim_suffix = kNoToken;
  TokenId fim_middle = kNoToken;
  TokenId fim_pad = kNoToken;
  TokenId fim_repo = kNoToken;
  TokenId fim_file = kNoToken;
};

// The ids as a file gives them; unset where it is silent, and then the vocabulary's kind decides.
struct SpecialIds {
  std::optional<std::uint32_t> bos, eos, eot, eom, unk, sep, pad, cls, mask;
  std::optional<std::uint32_t> fim_prefix, fim_suffix, fim_middle, fim_pad, fim_repo, fim_file;
};

// Views only: the spec must not outlive what it was read from. A Tokenizer copies what it keeps.
// Field names follow the GGUF keys tokenizer.ggml.*; docs/tokenizers.md says what each means.
struct TokenizerSpec {
  std::string_view model;  // "gpt2", "llama", "t5", "bert", "gemma4"
  std::string_view pre;    // which pre-tokenizer; read for "gpt2" only
  std::vector<std::string_view> tokens;
  std::vector<float> scores;              // one a token, or empty
  std::vector<std::int32_t> token_types;  // one a token, or empty: all normal
  std::vector<std::string_view> merges;   // "left right", best first
  std::string_view precompiled_charsmap;  // SentencePiece's compiled normalizer, bytes
  SpecialIds ids;
  std::optional<bool> add_bos, add_eos, add_sep;
  std::optional<bool> add_space_prefix, remove_extra_whitespaces;
  std::optional<bool> lowercase, strip_accents;  // BERT's normalizer
  // Whether white space after a special token belongs to it, and white space before the mask token. GGUF has
  // no key for these; who reads the file knows the models that want them.
  bool strip_after_special = false;
  bool strip_before_mask = false;
};

}  // namespace medlar::text
