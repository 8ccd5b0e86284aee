// Small vocabularies for tests, made on the spot. A vocabulary owns the texts that its spec views.
#pragma once

#include <deque>
#include <random>
#include <string>
#include <string_view>

#include "text/token_spec.h"

namespace medlar::text {

// The character that GPT-2's alphabet has for a byte, by its definition: printable Latin-1 stands for itself,
// the others follow from U+0100 in order.
inline std::string byte_character(int byte) {
  const auto printable = [](int b) { return (b > 0x20 && b < 0x7F) || (b > 0xA0 && b != 0xAD); };
  int code = byte;
  if (!printable(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += printable(b) ? 0 : 1;
  }
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

inline std::string byte_token(int byte) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  return std::string("<0x") + kHex[static_cast<std::size_t>(byte / 16)] +
         kHex[static_cast<std::size_t>(byte % 16)] + ">";
}

class Vocabulary {
 public:
  TokenizerSpec spec;

  TokenId add(std::string_view token, TokenType type = TokenType::normal, float score = 0.0f) {
    spec.tokens.push_back(texts_.emplace_back(token));
    spec.token_types.push_back(static_cast<std::int32_t>(type));
    spec.scores.push_back(score);
    return static_cast<TokenId>(spec.tokens.size() - 1);
  }
  void merge(std::string_view left, std::string_view right) {
    spec.merges.push_back(texts_.emplace_back(std::string(left) + " " + std::string(right)));
  }
  TokenId find(std::string_view token) const {
    for (std::size_t i = 0; i < spec.tokens.size(); ++i) {
      if (spec.tokens[i] == token) return static_cast<TokenId>(i);
    }
    return kNoToken;
  }
  // Adds the product and the merge, unless the token is there already.
  void learn(std::string_view left, std::string_view right) {
    const std::string product = std::string(left) + std::string(right);
    if (find(product) != kNoToken) return;
    add(product);
    merge(left, right);
  }

 private:
  std::deque<std::string> texts_;
};

// "gpt2" with all 256 bytes, ids 0 to 255, and then `merges` random ones.
inline Vocabulary byte_level_vocabulary(int merges = 0, std::uint32_t seed = 1) {
  Vocabulary v;
  v.spec.model = "gpt2";
  v.spec.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) v.add(byte_character(byte));
  v.learn(byte_character('t'), byte_character('h'));
  std::mt19937 random(seed);
  while (merges-- > 0) {
    const auto pick = [&] { return std::string(v.spec.tokens[random() % v.spec.tokens.size()]); };
    v.learn(pick(), pick());
  }
  return v;
}

// "llama" with <unk>, <s>, </s>, all byte tokens and a few letters.
inline Vocabulary sentencepiece_vocabulary() {
  Vocabulary v;
  v.spec.model = "llama";
  v.add("<unk>", TokenType::unknown);
  v.add("<s>", TokenType::control);
  v.add("</s>", TokenType::control);
  for (int byte = 0; byte < 256; ++byte) v.add(byte_token(byte), TokenType::byte);
  float score = -1.0f;
  for (const char* token : {"\u2581a", "ab", "\u2581ab", "\u2581\u2581", "\u2581", "a", "b", "c"}) {
    v.add(token, TokenType::normal, score--);
  }
  return v;
}

}  // namespace medlar::text
