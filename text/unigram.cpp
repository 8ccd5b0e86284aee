// Viterbi over byte offsets (Kudo 2018), with double sums as SentencePiece keeps them.
#include "text/unigram.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "text/unicode.h"

namespace medlar::text {
namespace {

constexpr std::size_t kMaxToken = 1024;  // bytes; every token that fits is tried at every character
constexpr std::size_t kMaxNormalized = 0xFFFF0000;

constexpr double kUnknownPenalty = 10.0;  // SentencePiece's: below the least probable token

// The best way to write the text up to some offset.
struct Best {
  double score = -std::numeric_limits<double>::infinity();
  std::uint32_t begin = 0;  // where its last token starts
  TokenId id = kNoToken;    // its last token; kNoToken for an unknown character
};

}  // namespace

Unigram::Unigram(const TokenTable& tokens, Charsmap charsmap, UnigramOptions options)
    : tokens_(tokens), charsmap_(std::move(charsmap)), options_(options) {
  all_bytes_ = std::ranges::find(tokens_.by_byte(), kNoToken) == tokens_.by_byte().end();
  if (options_.unknown == kNoToken && !all_bytes_) {
    fail(ErrorKind::bad_file, "tokenizer.ggml.unknown_token_id: a Unigram vocabulary needs an unknown token");
  }
  std::vector<TokenTrie::Entry> entries;
  float lowest = std::numeric_limits<float>::max();
  for (TokenId id = 0; id < tokens_.size(); ++id) {
    if (!tokens_.is_text(id)) continue;
    if (tokens_.piece(id).size() > kMaxToken) {
      fail(ErrorKind::bad_file, "tokenizer.ggml.tokens[{}]: {} bytes, at most {} are read", id,
           tokens_.piece(id).size(), kMaxToken);
    }
    entries.push_back({tokens_.piece(id), id});
    if (tokens_.type(id) == TokenType::normal) lowest = std::min(lowest, tokens_.score(id));
  }
  unknown_score_ = (entries.empty() ? 0.0 : static_cast<double>(lowest)) - kUnknownPenalty;
  trie_ = TokenTrie(std::move(entries));
}

void Unigram::normalize(std::string_view text, std::string& out) const {
  out.clear();
  if (options_.space_prefix && !options_.merge_spaces && !text.empty()) out.push_back(' ');
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const Charsmap::Rewrite rewrite = charsmap_.rewrite(text, at);
    at += rewrite.consumed;
    if (out.size() >= kMaxNormalized) fail(ErrorKind::limit, "normalized, the text has more than 4 GiB");
    for (const char c : rewrite.text == kSpaceMark ? " " : rewrite.text) {
      if (c != ' ') {
        if (!in_word && options_.merge_spaces && (options_.space_prefix || !out.empty())) out.push_back(' ');
        out.push_back(c);
      } else if (!options_.merge_spaces) {
        out.push_back(' ');
      }
      in_word = c != ' ';
    }
  }
}

void Unigram::encode(Stretch stretch, EncodeState& state) const {
  std::string& text = state.buffer;
  normalize(stretch.text, text);
  std::vector<Best> best(text.size() + 1);
  best[0].score = 0.0;
  const auto improve = [&best](std::size_t begin, std::size_t end, double score, TokenId id) {
    const double total = best[begin].score + score;
    if (total > best[end].score) best[end] = {total, static_cast<std::uint32_t>(begin), id};
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t character = decode_utf8(text, at).length;
    bool known = false;  // whether some token is exactly this character
    TokenTrie::Node node = TokenTrie::kRoot;
    for (std::size_t end = at; end < text.size();) {
      node = trie_.child(node, text[end++]);
      if (node == TokenTrie::kNone) break;
      const TokenId id = trie_.token(node);
      if (id == kNoToken) continue;
      known |= end - at == character;
      improve(at, end, tokens_.type(id) == TokenType::user_defined ? 0.0 : tokens_.score(id), id);
    }
    if (!known) improve(at, at + character, unknown_score_, kNoToken);
    at += character;
  }

  std::vector<TokenId>& out = state.out;
  for (std::size_t end = text.size(); end > 0; end = best[end].begin) {
    const Best& last = best[end];
    if (last.id != kNoToken) {
      out.push_back(last.id);
    } else if (all_bytes_) {
      for (std::size_t i = end; i > last.begin; --i) {
        out.push_back(tokens_.by_byte()[static_cast<unsigned char>(text[i - 1])]);
      }
    } else if (out.size() == state.first || out.back() != options_.unknown) {
      out.push_back(options_.unknown);  // one for all unknown characters in a row
    }
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(state.first), out.end());
}

}  // namespace medlar::text
