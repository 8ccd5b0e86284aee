// Byte-level BPE, as GPT-2 has it: text is cut into words, and in each word bytes merge by the merge list.
#pragma once

#include "text/pretokenizer.h"
#include "text/token_encoder.h"
#include "text/token_pairs.h"
#include "text/token_table.h"

namespace medlar::text {

class ByteLevelBpe final : public TokenEncoder {
 public:
  // `tokens` must outlive the encoder.
  ByteLevelBpe(const TokenTable& tokens, MergeTable merges, const PreTokenizerRules& rules);

  // A byte that the vocabulary has no token for is left out.
  void encode(Stretch stretch, EncodeState& state) const override;

 private:
  void encode_word(std::string_view word, EncodeState& state) const;

  const TokenTable& tokens_;
  MergeTable merges_;
  PreTokenizer split_;
  bool whole_words_;
};

}  // namespace medlar::text
