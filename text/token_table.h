// The vocabulary, checked: for every token its type, its score, and the bytes it stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/token_index.h"
#include "text/token_spec.h"

namespace medlar::text {

// How a vocabulary writes the bytes of a normal token.
enum class Spelling {
  byte_level,  // GPT-2's alphabet: one printable character for each byte
  spaces,      // as is, with U+2581 for a space
};

// U+2581 LOWER ONE EIGHTH BLOCK, which SentencePiece writes for a space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

class TokenTable {
 public:
  // Throws Error(bad_file) naming the key: no tokens, too many, the same text twice, lists of different
  // lengths, scores that are no numbers, unknown types, byte tokens that are not "<0x00>" to "<0xFF>".
  TokenTable(const TokenizerSpec& spec, Spelling spelling);
  TokenTable(TokenTable&&) = default;  // the index points into the table's own bytes
  TokenTable(const TokenTable&) = delete;
  TokenTable& operator=(const TokenTable&) = delete;

  TokenId size() const { return static_cast<TokenId>(types_.size()); }
  bool contains(TokenId id) const { return id >= 0 && id < size(); }

  // The bytes a token stands for in running text; for special tokens their name.
  std::string_view piece(TokenId id) const {
    const auto i = static_cast<std::size_t>(id);
    return {bytes_.data() + ends_[i], ends_[i + 1] - ends_[i]};
  }
  TokenType type(TokenId id) const { return types_[static_cast<std::size_t>(id)]; }
  float score(TokenId id) const { return scores_.empty() ? 0.0f : scores_[static_cast<std::size_t>(id)]; }
  void set_type(TokenId id, TokenType type) { types_[static_cast<std::size_t>(id)] = type; }

  // Tokens that ordinary text may become: not control, unknown or byte tokens.
  bool is_text(TokenId id) const;
  // Tokens that are found in text by name, before it is split.
  bool is_special(TokenId id) const;

  // is_text() tokens by their bytes; of two with the same bytes a normal one, then the first, wins.
  const TokenIndex& by_piece() const { return by_piece_; }

  // The token with this text, special tokens by name first; kNoToken when there is none.
  TokenId find(std::string_view text) const;

  // For Spelling::byte_level the normal one-byte tokens, else the byte tokens: 256 ids, kNoToken where
  // missing.
  std::span<const TokenId> by_byte() const { return by_byte_; }

 private:
  void add_pieces(const TokenizerSpec& spec, Spelling spelling);
  void add_piece(TokenId id, std::string_view spelled, Spelling spelling);
  void index_pieces();

  std::vector<char> bytes_;          // all pieces, one after the other; by_piece_ points into it
  std::vector<std::uint32_t> ends_;  // piece i is [ends_[i], ends_[i + 1])
  std::vector<TokenType> types_;
  std::vector<float> scores_;
  TokenIndex by_piece_;
  TokenIndex by_name_;  // is_special() tokens
  std::vector<TokenId> by_byte_;
};

// The bytes of a token in GPT-2's alphabet, appended to `out`. False, with nothing appended, when it has a
// character that stands for no byte.
bool append_byte_level(std::string_view spelled, std::vector<char>& out);

// "<0x0A>" -> 10; -1 for anything else.
int parse_byte_token(std::string_view spelled);

}  // namespace medlar::text
