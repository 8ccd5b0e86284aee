// SentencePiece's Unigram model: normalize, then take the most probable way to write the text in tokens.
#pragma once

#include <string>

#include "text/token_encoder.h"
#include "text/token_table.h"
#include "text/token_trie.h"
#include "text/unigram_normalizer.h"

namespace medlar::text {

struct UnigramOptions {
  TokenId unknown = kNoToken;
  bool space_prefix = false;
  bool merge_spaces = false;  // runs of spaces count as one, those at the ends as none
};

class Unigram final : public TokenEncoder {
 public:
  // `tokens` must outlive the encoder. Throws Error(bad_file) when the vocabulary has no unknown token, which
  // the model needs.
  Unigram(const TokenTable& tokens, Charsmap charsmap, UnigramOptions options);

  void encode(Stretch stretch, EncodeState& state) const override;

 private:
  void normalize(std::string_view text, std::string& out) const;

  const TokenTable& tokens_;
  Charsmap charsmap_;
  UnigramOptions options_;
  TokenTrie trie_;
  double unknown_score_ = 0.0;
  bool all_bytes_ = false;  // unknown characters are spelled in bytes
};

}  // namespace medlar::text
