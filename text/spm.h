// BPE over characters, as SentencePiece has it: neighbours join by the score of what they become, or by a
// merge list, and what stays unknown is spelled in bytes.
#pragma once

#include <bitset>
#include <optional>

#include "text/token_encoder.h"
#include "text/token_pairs.h"
#include "text/token_table.h"

namespace medlar::text {

struct CharacterBpeOptions {
  TokenId unknown = kNoToken;  // for characters without a token where byte tokens are missing
  bool space_prefix = false;   // text at the start or after a special token gets a space in front
  bool newline_runs = false;   // a run of newlines is a word, and one token if there is such a token
};

class CharacterBpe final : public TokenEncoder {
 public:
  // Joins by score, or by `merges` where there are any. `tokens` must outlive the encoder.
  CharacterBpe(const TokenTable& tokens, std::optional<MergeTable> merges, CharacterBpeOptions options);

  // U+2581 in the text counts as a space. A byte without a token, where there is no unknown token either, is
  // left out.
  void encode(Stretch stretch, EncodeState& state) const override;

 private:
  std::size_t word_end(std::string_view text, std::size_t begin) const;
  void encode_words(Stretch stretch, WordCache& words, EncodeState& state) const;
  void encode_word(std::string_view word, EncodeState& state) const;

  const TokenTable& tokens_;
  std::optional<MergeTable> merges_;
  CharacterBpeOptions options_;
  bool all_bytes_ = false;           // every byte has a token
  std::bitset<65536> side_by_side_;  // [first * 256 + second]: some token holds these two bytes in a row
};

}  // namespace medlar::text
