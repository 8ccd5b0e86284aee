// BERT's WordPiece: normalize, cut at white space and punctuation, then take the longest token again and
// again.
#pragma once

#include <string>

#include "text/token_encoder.h"
#include "text/token_table.h"
#include "text/token_trie.h"

namespace medlar::text {

struct WordPieceOptions {
  TokenId unknown = kNoToken;
  bool lowercase = true;
  bool strip_accents = true;
};

class WordPiece final : public TokenEncoder {
 public:
  // GGUF writes "\u2581word" for a token that starts a word and "ing" for one that continues it ("##ing").
  // `tokens` must outlive the encoder.
  WordPiece(const TokenTable& tokens, WordPieceOptions options);

  void encode(Stretch stretch, EncodeState& state) const override;

 private:
  void add_word(const std::string& word, std::vector<TokenId>& out) const;

  WordPieceOptions options_;
  TokenTrie starts_;  // without the mark
  TokenTrie continues_;
};

}  // namespace medlar::text
