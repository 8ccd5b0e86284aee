// A tokenizer's tokens as texts that a grammar can allow: prefix trees to walk, and sets of tokens.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_spec.h"
#include "text/tokenizer.h"

namespace medlar::grammar {

using text::TokenId;

// Bit t of word t / 64 is token t.
using TokenBits = std::vector<std::uint64_t>;

// Immutable; shared by the constraints of all grammars for one model.
class Vocabulary {
 public:
  struct Token {
    TokenId id = 0;
    std::string_view bytes;  // empty: the token is no text and is never allowed
  };

  // The tokens of a tokenizer: text as what it says, control tokens as token_bytes().
  explicit Vocabulary(const text::Tokenizer& tokenizer) : Vocabulary(tokenizer, {}) {}
  // Copies the texts. Throws Error(usage) for ids outside [0, size).
  Vocabulary(TokenId size, std::vector<Token> tokens, std::vector<TokenId> ends);

  TokenId size() const { return size_; }
  std::size_t words() const { return (static_cast<std::size_t>(size_) + 63) / 64; }
  std::string_view bytes(TokenId id) const;
  bool is_end(TokenId id) const;
  std::span<const TokenId> ends() const { return ends_; }

  // Depth first: the nodes below node i are [i + 1, end).
  struct Node {
    std::uint32_t end = 0;
    std::uint32_t tokens = 0;  // those that end here are [tokens, the next node's tokens)
    std::uint8_t byte = 0;
  };
  struct Trie {
    std::vector<Node> nodes;  // one more than there are
    std::vector<TokenId> tokens;
    std::uint32_t size() const { return static_cast<std::uint32_t>(nodes.size() - 1); }
  };

  // Tokens are sorted into bands by their length, so that a walk can leave out the short ones.
  static constexpr std::array<std::uint32_t, 4> kBands = {0, 8, 16, 32};
  static constexpr std::size_t kNoBand = kBands.size();
  // The tokens of more than kBands[band] bytes.
  const Trie& trie(std::size_t band) const { return tries_[band]; }
  // The tokens of at most kBands[band] bytes.
  const TokenBits& up_to(std::size_t band) const { return up_to_[band]; }

 private:
  Vocabulary(const text::Tokenizer& tokenizer, std::deque<std::string> names);
  void build(std::vector<Token> tokens);

  TokenId size_ = 0;
  std::vector<char> bytes_;
  std::vector<std::uint32_t> text_ends_;  // token t is [text_ends_[t], text_ends_[t + 1])
  std::vector<TokenId> ends_;
  std::array<Trie, kBands.size()> tries_;
  std::array<TokenBits, kBands.size()> up_to_;
};

// How grammars spell a token that is no text, such as one that marks a tool call: bytes that no text holds.
std::string token_bytes(TokenId id);
// `text` with token_bytes() wherever it says what one of `tokens` is called; the longest name wins.
std::string spell_tokens(std::string_view text, std::span<const Vocabulary::Token> tokens);

}  // namespace medlar::grammar
