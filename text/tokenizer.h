// A model's tokenizer: text to tokens and back.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_spec.h"

namespace medlar::text {

struct EncodeOptions {
  bool add_special = true;     // begin and end tokens, as the model's file says
  bool parse_special = false;  // names of control tokens in the text become those tokens
};

struct DecodeOptions {
  bool special = false;  // show control and unknown tokens by name
};

// Immutable once made; every member may be called from several threads at once.
class Tokenizer {
 public:
  // Copies what it needs from the spec. Throws Error(unsupported) naming a model or pre-tokenizer that is not
  // known and Error(bad_file) naming the key of anything that makes no sense (docs/tokenizers.md).
  explicit Tokenizer(const TokenizerSpec& spec);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // Any bytes; what is not UTF-8 goes through byte by byte where the vocabulary can say bytes. Time grows
  // linearly, stack use does not grow. Throws Error(limit) for 2^31 bytes or more.
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  // The exact bytes. What encode() put in front of the text - a space that SentencePiece adds - is taken off
  // again. Throws Error(usage) for an id that is no token.
  std::string decode(std::span<const TokenId> tokens, DecodeOptions options = {}) const;

  // The bytes of one token in the middle of a text, empty where decode() shows nothing. Throws as decode().
  std::string_view piece(TokenId token, DecodeOptions options = {}) const;

  // Whether decode() drops a space at the start of `token` when it comes right after `previous` (kNoToken: at
  // the start).
  bool drops_space(TokenId previous, TokenId token) const;

  // The token with this text, or special token with this name; kNoToken when there is none.
  TokenId find(std::string_view text) const;

  TokenId size() const;
  TokenType type(TokenId token) const;  // throws as decode()
  // True for tokens after which a model says nothing more: end of sequence, turn or message.
  bool is_end(TokenId token) const;
  std::span<const TokenId> end_tokens() const;  // sorted
  const SpecialTokens& special() const;

  // What add_special adds.
  bool adds_bos() const;
  bool adds_eos() const;
  // Whether the model expects a separator between two texts given together (rerankers).
  bool adds_sep() const;

  // One line for the user about something in the file that may cost quality; empty if there is nothing to
  // say.
  const std::string& warning() const;

 private:
  class Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace medlar::text
