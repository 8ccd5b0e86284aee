// The heap, the cuts and the memory of words against the definition of BPE, on random vocabularies.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/text/token_vocabularies.h"
#include "text/tokenizer.h"

namespace medlar::text {
namespace {

// The definition: look at all neighbours, join the best pair, leftmost of equals, and start again.
template <class Rank>
std::vector<std::string> merge_by_definition(std::vector<std::string> parts, const Rank& rank) {
  for (;;) {
    std::optional<double> best;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const std::optional<double> r = rank(parts[i], parts[i + 1]);
      if (r && (!best || *r < *best)) best = r, at = i;
    }
    if (!best) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::string random_text(std::mt19937& random, std::string_view letters, std::size_t length) {
  std::string text;
  while (text.size() < length) text.push_back(letters[random() % letters.size()]);
  return text;
}

TEST(Merging, ByteLevelIsTheDefinition) {
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    Vocabulary v = byte_level_vocabulary();
    // One class of characters, so that the whole text is one word.
    for (int i = 0; i < 40; ++i) {
      const auto pick = [&] {
        const std::size_t n = v.spec.tokens.size() - 256;
        const std::size_t k = random() % (n + 3);
        return k < 3 ? std::string(1, static_cast<char>('a' + k)) : std::string(v.spec.tokens[256 + k - 3]);
      };
      v.learn(pick(), pick());
    }
    std::map<std::pair<std::string, std::string>, int> ranks;
    for (std::size_t i = 0; i < v.spec.merges.size(); ++i) {
      const std::string merge(v.spec.merges[i]);
      const std::size_t space = merge.find(' ');
      ranks.emplace(std::pair(merge.substr(0, space), merge.substr(space + 1)), static_cast<int>(i));
    }
    const Tokenizer tokenizer(v.spec);
    const std::string text = random_text(random, "abc", 1 + random() % 200);
    std::vector<std::string> parts;
    for (const char c : text) parts.emplace_back(1, c);
    std::vector<TokenId> expected;
    for (const std::string& part : merge_by_definition(parts, [&](const auto& l, const auto& r) {
           const auto found = ranks.find({l, r});
           return found == ranks.end() ? std::nullopt : std::optional<double>(found->second);
         })) {
      expected.push_back(v.find(part));
    }
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
  }
}

TEST(Merging, SentencePieceIsTheDefinitionOverTheWholeText) {
  std::mt19937 random(11);
  for (int round = 0; round < 40; ++round) {
    Vocabulary v = sentencepiece_vocabulary();
    v.spec.add_bos = v.spec.add_space_prefix = false;
    // Tokens may hold spaces anywhere: cuts must not be made where one of them reaches across.
    for (int i = 0; i < 30; ++i) {
      std::string token;
      for (const char c : random_text(random, round % 2 ? "abc " : "abcdefgh", 2 + random() % 4)) {
        token += c == ' ' ? std::string("\u2581") : std::string(1, c);
      }
      if (v.find(token) == kNoToken) v.add(token, TokenType::normal, -static_cast<float>(random() % 20));
    }
    const Tokenizer tokenizer(v.spec);
    const std::string text = random_text(random, "aabbcc   de", 700);
    std::vector<std::string> parts;
    for (const char c : text) parts.push_back(c == ' ' ? "\u2581" : std::string(1, c));
    std::vector<TokenId> expected;
    for (const std::string& part : merge_by_definition(parts, [&](const auto& l, const auto& r) {
           const TokenId id = v.find(l + r);
           return id == kNoToken ? std::nullopt
                                 : std::optional<double>(-v.spec.scores[static_cast<std::size_t>(id)]);
         })) {
      const TokenId id = v.find(part);
      expected.push_back(id == kNoToken ? 3 + static_cast<unsigned char>(part[0]) : id);
    }
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
    EXPECT_EQ(tokenizer.decode(expected), text);
  }
}

}  // namespace
}  // namespace medlar::text
