// SentencePiece merges the whole text at once. Here it is first cut wherever no token could reach across,
// which gives the same tokens and words short enough to remember.
#include "text/spm.h"

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "text/unicode.h"

namespace medlar::text {
namespace {

std::size_t pair_of(char first, char second) {
  return static_cast<std::size_t>(static_cast<unsigned char>(first)) * 256 +
         static_cast<unsigned char>(second);
}

bool continues_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Higher scores first: a float's bits, mapped so that they order as the number does, then reversed.
std::uint32_t rank_of(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 orders as 0
  return ~(bits ^ (bits >> 31 ? 0xFFFFFFFFu : 0x80000000u));
}

std::string with_plain_spaces(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t mark = std::min(text.find(kSpaceMark, at), text.size());
    out += text.substr(at, mark - at);
    if (mark < text.size()) out.push_back(' ');
    at = mark + kSpaceMark.size();
  }
  return out;
}

}  // namespace

CharacterBpe::CharacterBpe(const TokenTable& tokens, std::optional<MergeTable> merges,
                           CharacterBpeOptions options)
    : tokens_(tokens), merges_(std::move(merges)), options_(options) {
  all_bytes_ = std::ranges::find(tokens_.by_byte(), kNoToken) == tokens_.by_byte().end();
  for (TokenId id = 0; id < tokens_.size(); ++id) {
    if (!tokens_.is_text(id)) continue;
    const std::string_view piece = tokens_.piece(id);
    for (std::size_t i = 1; i < piece.size(); ++i) side_by_side_.set(pair_of(piece[i - 1], piece[i]));
  }
}

std::size_t CharacterBpe::word_end(std::string_view text, std::size_t begin) const {
  for (std::size_t at = begin + 1; at < text.size(); ++at) {
    if (continues_character(text[at])) continue;
    if (!side_by_side_[pair_of(text[at - 1], text[at])]) return at;
    if (options_.newline_runs && (text[at - 1] == '\n') != (text[at] == '\n')) return at;
  }
  return text.size();
}

void CharacterBpe::encode(Stretch stretch, EncodeState& state) const {
  if (stretch.text.find(kSpaceMark) == stretch.text.npos) return encode_words(stretch, state.words, state);
  const std::string plain = with_plain_spaces(stretch.text);
  WordCache words(plain);
  encode_words({plain, stretch.after_special}, words, state);
}

void CharacterBpe::encode_words(Stretch stretch, WordCache& words, EncodeState& state) const {
  const std::string_view text = stretch.text;
  std::size_t begin = 0;
  if (options_.space_prefix && stretch.after_special && !text.empty()) {
    begin = word_end(text, 0);
    state.buffer.assign(1, ' ').append(text.substr(0, begin));
    encode_word(state.buffer, state);
  }
  while (begin < text.size()) {
    const std::size_t end = word_end(text, begin);
    const std::string_view word = text.substr(begin, end - begin);
    begin = end;
    if (words.replay(word, state.out)) continue;
    const std::size_t first = state.out.size();
    encode_word(word, state);
    // Unknown tokens in a row become one, so a word that ends in one is not the same everywhere.
    const auto written = state.out.begin() + static_cast<std::ptrdiff_t>(first);
    if (std::find(written, state.out.end(), options_.unknown) == state.out.end()) {
      words.remember(word, first, state.out);
    }
  }
}

void CharacterBpe::encode_word(std::string_view word, EncodeState& state) const {
  const TokenIndex& by_piece = tokens_.by_piece();
  if (options_.newline_runs && word[0] == '\n') {
    if (const TokenId run = by_piece.find(word); run != kNoToken) return state.out.push_back(run);
  }
  state.merger.start(word.size());
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t length = decode_utf8(word, at).length;
    state.merger.add(at, length, by_piece.find(word.substr(at, length)));
    at += length;
  }
  if (merges_) {
    state.merger.merge([this](std::size_t, const Symbol& left, const Symbol& right) {
      return merges_->find(left.id, right.id);
    });
  } else {
    state.merger.merge([&](std::size_t at, const Symbol& left, const Symbol& right) {
      const TokenId id = by_piece.find(word.substr(at, left.length + right.length));
      return id == kNoToken ? Join{} : Join{rank_of(tokens_.score(id)), id};
    });
  }
  std::vector<TokenId>& out = state.out;
  state.merger.for_each([&](std::size_t at, const Symbol& symbol) {
    if (symbol.id != kNoToken) {
      out.push_back(symbol.id);
    } else if (all_bytes_ || options_.unknown == kNoToken) {
      for (const char byte : word.substr(at, symbol.length)) {
        const TokenId id = tokens_.by_byte()[static_cast<unsigned char>(byte)];
        if (id != kNoToken) out.push_back(id);
      }
    } else if (out.size() == state.first || out.back() != options_.unknown) {
      out.push_back(options_.unknown);
    }
  });
}

}  // namespace medlar::text
