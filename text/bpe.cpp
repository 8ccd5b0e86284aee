// Words come from the pre-tokenizer; a word seen before is replayed, another one is merged byte by byte.
#include "text/bpe.h"

#include <utility>

namespace medlar::text {

ByteLevelBpe::ByteLevelBpe(const TokenTable& tokens, MergeTable merges, const PreTokenizerRules& rules)
    : tokens_(tokens), merges_(std::move(merges)), split_(rules.steps), whole_words_(rules.whole_words) {}

void ByteLevelBpe::encode(Stretch stretch, EncodeState& state) const {
  split_.split(stretch.text, state.ends);
  std::size_t begin = 0;
  for (const std::uint32_t end : state.ends) {
    const std::string_view word = stretch.text.substr(begin, end - begin);
    begin = end;
    if (state.words.replay(word, state.out)) continue;
    const std::size_t first = state.out.size();
    encode_word(word, state);
    state.words.remember(word, first, state.out);
  }
}

void ByteLevelBpe::encode_word(std::string_view word, EncodeState& state) const {
  if (whole_words_) {
    const TokenId id = tokens_.by_piece().find(word);
    if (id != kNoToken && tokens_.type(id) == TokenType::normal) return state.out.push_back(id);
  }
  state.merger.start(word.size());
  for (std::size_t i = 0; i < word.size(); ++i) {
    state.merger.add(i, 1, tokens_.by_byte()[static_cast<unsigned char>(word[i])]);
  }
  state.merger.merge([this](std::size_t, const Symbol& left, const Symbol& right) {
    return merges_.find(left.id, right.id);
  });
  state.merger.for_each([&state](std::size_t, const Symbol& symbol) {
    if (symbol.id != kNoToken) state.out.push_back(symbol.id);
  });
}

}  // namespace medlar::text
