// Building the trees from the sorted texts.
#include "text/grammar/vocabulary.h"

#include <algorithm>

#include "base/error.h"

namespace medlar::grammar {
namespace {

using Token = Vocabulary::Token;

// `tokens` sorted by their bytes.
Vocabulary::Trie make_trie(const std::vector<Token>& tokens, std::size_t longer_than) {
  Vocabulary::Trie trie;
  std::vector<std::uint32_t> path;  // the nodes that spell the token before
  std::string_view last;
  const auto close = [&](std::size_t depth) {
    for (; path.size() > depth; path.pop_back())
      trie.nodes[path.back()].end = static_cast<std::uint32_t>(trie.nodes.size());
  };
  for (const Token& token : tokens) {
    if (token.bytes.size() <= longer_than) continue;
    const auto differ = std::ranges::mismatch(last, token.bytes);
    const auto shared = static_cast<std::size_t>(differ.in1 - last.begin());
    close(shared);
    for (std::size_t i = shared; i < token.bytes.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(trie.nodes.size()));
      trie.nodes.push_back(
          {0, static_cast<std::uint32_t>(trie.tokens.size()), static_cast<std::uint8_t>(token.bytes[i])});
    }
    trie.tokens.push_back(token.id);
    last = token.bytes;
  }
  close(0);
  trie.nodes.push_back({0, static_cast<std::uint32_t>(trie.tokens.size()), 0});
  return trie;
}

// No text in UTF-8 has this byte.
constexpr char kTokenMark = '\xFF';

// Texts must be what decoding shows. After tokens that swallow the space of the next one they would not be,
// so those are left out.
std::vector<Token> tokens_of(const text::Tokenizer& tokenizer, std::deque<std::string>& names) {
  std::vector<Token> tokens;
  TokenId spaced = text::kNoToken;
  for (TokenId id = 0; id < tokenizer.size() && spaced == text::kNoToken; ++id)
    if (tokenizer.type(id) == text::TokenType::normal && tokenizer.piece(id).starts_with(' ')) spaced = id;
  for (TokenId id = 0; id < tokenizer.size(); ++id) {
    const text::TokenType type = tokenizer.type(id);
    const bool text = (type == text::TokenType::normal || type == text::TokenType::user_defined ||
                       type == text::TokenType::byte) &&
                      tokenizer.piece(id).find(kTokenMark) == std::string_view::npos;
    const bool swallows = spaced != text::kNoToken && tokenizer.drops_space(id, spaced);
    if (type == text::TokenType::control) tokens.push_back({id, names.emplace_back(token_bytes(id))});
    if (text && !swallows && !tokenizer.is_end(id)) tokens.push_back({id, tokenizer.piece(id)});
  }
  return tokens;
}

}  // namespace

std::string token_bytes(TokenId id) {
  const auto part = [&](int shift) { return static_cast<char>((id >> shift) & 0xFF); };
  return {kTokenMark, part(16), part(8), part(0)};
}

std::string spell_tokens(std::string_view text, std::span<const Token> tokens) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    const Token* longest = nullptr;
    for (const Token& token : tokens)
      if (!token.bytes.empty() && text.substr(at).starts_with(token.bytes) &&
          (!longest || token.bytes.size() > longest->bytes.size()))
        longest = &token;
    result += longest ? token_bytes(longest->id) : std::string(1, text[at]);
    at += longest ? longest->bytes.size() : 1;
  }
  return result;
}

Vocabulary::Vocabulary(const text::Tokenizer& tokenizer, std::deque<std::string> names)
    : Vocabulary(tokenizer.size(), tokens_of(tokenizer, names),
                 {tokenizer.end_tokens().begin(), tokenizer.end_tokens().end()}) {}

Vocabulary::Vocabulary(TokenId size, std::vector<Token> tokens, std::vector<TokenId> ends)
    : size_(size), ends_(std::move(ends)) {
  const auto check = [&](TokenId id) {
    if (id < 0 || id >= size_) fail(ErrorKind::usage, "token {} is outside the vocabulary of {}", id, size_);
  };
  for (const Token& t : tokens) check(t.id);
  for (const TokenId id : ends_) check(id);
  std::ranges::sort(ends_);
  std::ranges::sort(tokens, {}, &Token::id);
  text_ends_.assign(static_cast<std::size_t>(size_) + 1, 0);
  std::size_t at = 0;
  for (TokenId id = 0; id < size_; ++id) {
    for (; at < tokens.size() && tokens[at].id == id; ++at)
      bytes_.insert(bytes_.end(), tokens[at].bytes.begin(), tokens[at].bytes.end());
    text_ends_[static_cast<std::size_t>(id) + 1] = static_cast<std::uint32_t>(bytes_.size());
  }
  for (Token& t : tokens) t.bytes = bytes(t.id);
  build(std::move(tokens));
}

void Vocabulary::build(std::vector<Token> tokens) {
  std::erase_if(tokens, [](const Token& t) { return t.bytes.empty(); });
  std::ranges::sort(tokens, {}, [](const Token& t) { return std::pair(t.bytes, t.id); });
  for (std::size_t band = 0; band < kBands.size(); ++band) {
    tries_[band] = make_trie(tokens, kBands[band]);
    up_to_[band].assign(words(), 0);
    for (const Token& t : tokens)
      if (t.bytes.size() <= kBands[band])
        up_to_[band][static_cast<std::size_t>(t.id) / 64] |= std::uint64_t{1} << (t.id % 64);
  }
}

std::string_view Vocabulary::bytes(TokenId id) const {
  const auto i = static_cast<std::size_t>(id);
  return {bytes_.data() + text_ends_[i], text_ends_[i + 1] - text_ends_[i]};
}

bool Vocabulary::is_end(TokenId id) const { return std::ranges::binary_search(ends_, id); }

}  // namespace medlar::grammar
