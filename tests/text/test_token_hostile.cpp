// Vocabularies that make no sense, and texts that would make a careless tokenizer slow.
#include <cmath>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/token_vocabularies.h"
#include "text/pretokenizer.h"
#include "text/tokenizer.h"
#include "text/unigram_normalizer.h"

namespace medlar::text {
namespace {

using testing::HasSubstr;

void expect_refused(const TokenizerSpec& spec, ErrorKind kind, const std::string& what) {
  try {
    const Tokenizer tokenizer(spec);
    ADD_FAILURE() << "accepted, expected: " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    EXPECT_THAT(error.what(), HasSubstr(what));
  }
}

struct BadVocabulary {
  const char* says;
  std::function<void(Vocabulary&)> spoil;
};

TEST(BadVocabularies, AreRefusedByKey) {
  const BadVocabulary cases[] = {
      {"tokenizer.ggml.tokens: the vocabulary is empty", [](Vocabulary& v) { v.spec.tokens.clear(); }},
      {"'a' is token 97 and token 257", [](Vocabulary& v) { v.add("a"); }},
      {"tokenizer.ggml.scores: 1 scores", [](Vocabulary& v) { v.spec.scores.resize(1); }},
      {"tokenizer.ggml.scores[5]: nan", [](Vocabulary& v) { v.spec.scores[5] = NAN; }},
      {"tokenizer.ggml.scores[6]: -inf", [](Vocabulary& v) { v.spec.scores[6] = -INFINITY; }},
      {"tokenizer.ggml.token_type: 2 types", [](Vocabulary& v) { v.spec.token_types.resize(2); }},
      {"tokenizer.ggml.token_type[7]: there is no type 9", [](Vocabulary& v) { v.spec.token_types[7] = 9; }},
      {"tokenizer.ggml.token_type[7]: there is no type -1",
       [](Vocabulary& v) { v.spec.token_types[7] = -1; }},
      {"tokenizer.ggml.tokens[257]: '<0x-1>'", [](Vocabulary& v) { v.add("<0x-1>", TokenType::byte); }},
      {"tokenizer.ggml.tokens[257]: '<0x100>'", [](Vocabulary& v) { v.add("<0x100>", TokenType::byte); }},
      {"tokenizer.ggml.tokens[257]: '\\xff\\x0a'", [](Vocabulary& v) { v.add("\xFF\n", TokenType::byte); }},
      {"tokenizer.ggml.tokens[257]: a special token of 2000 bytes",
       [](Vocabulary& v) { v.add(std::string(2000, 'a'), TokenType::control); }},
      {"tokenizer.ggml.merges: a BPE vocabulary needs", [](Vocabulary& v) { v.spec.merges.clear(); }},
      {"tokenizer.ggml.merges[1]: not two pieces", [](Vocabulary& v) { v.spec.merges.push_back("ab"); }},
      {"tokenizer.ggml.merges[1]: not two pieces", [](Vocabulary& v) { v.spec.merges.push_back("a "); }},
      {"tokenizer.ggml.merges[1]: not two pieces", [](Vocabulary& v) { v.spec.merges.push_back(" a"); }},
      {"tokenizer.ggml.merges[1]: not two pieces", [](Vocabulary& v) { v.spec.merges.push_back(""); }},
      {"tokenizer.ggml.merges[1]: its left piece", [](Vocabulary& v) { v.merge("nope", "a"); }},
      {"tokenizer.ggml.merges[1]: its right piece", [](Vocabulary& v) { v.merge("a", "b c"); }},
      {"tokenizer.ggml.merges[1]: its product", [](Vocabulary& v) { v.merge("x", "y"); }},
      {"tokenizer.ggml.bos_token_id: 257 is no token", [](Vocabulary& v) { v.spec.ids.bos = 257; }},
      {"tokenizer.ggml.eos_token_id: 4294967295", [](Vocabulary& v) { v.spec.ids.eos = 4294967295u; }},
      {"tokenizer.ggml.fim_sep_token_id: 300", [](Vocabulary& v) { v.spec.ids.fim_file = 300; }},
      {"tokenizer.ggml.add_bos_token: true, but", [](Vocabulary& v) { v.spec.add_bos = true; }},
      {"tokenizer.ggml.add_eos_token: true, but", [](Vocabulary& v) { v.spec.add_eos = true; }},
      {"tokenizer.ggml.add_sep_token: true, but", [](Vocabulary& v) { v.spec.add_sep = true; }},
  };
  for (const BadVocabulary& bad : cases) {
    SCOPED_TRACE(bad.says);
    Vocabulary v = byte_level_vocabulary();
    bad.spoil(v);
    expect_refused(v.spec, ErrorKind::bad_file, bad.says);
  }
}

TEST(BadVocabularies, UnknownKindsAreUnsupportedByName) {
  Vocabulary v = byte_level_vocabulary();
  v.spec.pre = "from-the-future";
  expect_refused(v.spec, ErrorKind::unsupported, "from-the-future");
  v.spec.model = "rwkv";
  expect_refused(v.spec, ErrorKind::unsupported, "rwkv");
  v.spec.model = "";
  expect_refused(v.spec, ErrorKind::unsupported, "tokenizer.ggml.model");
}

TEST(BadVocabularies, UnigramNeedsAnUnknownTokenAndShortTokens) {
  Vocabulary v;
  v.spec.model = "t5";
  v.spec.add_eos = false;
  v.add("a");
  expect_refused(v.spec, ErrorKind::bad_file, "tokenizer.ggml.unknown_token_id");
  v.add(std::string(2000, 'a'));
  v.spec.ids.unk = 0;
  expect_refused(v.spec, ErrorKind::bad_file, "tokenizer.ggml.tokens[1]: 2000 bytes");
}

TEST(BadVocabularies, OneTokenWithAllRolesAndNoTextIsFine) {
  Vocabulary v;
  v.spec.model = "llama";
  v.add("");
  v.spec.ids = {.bos = 0, .eos = 0, .unk = 0, .pad = 77};
  const Tokenizer tokenizer(v.spec);
  EXPECT_EQ(tokenizer.special().pad, kNoToken) << "one past the end is common and harmless";
  EXPECT_EQ(tokenizer.encode("abc"), (std::vector{0, 0}));
}

TEST(LargeVocabularies, ManyTokensAreRead) {
  std::string texts;
  const std::size_t count = 1'000'000;
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < count; ++i) {
    texts.append("t").append(std::to_string(i));
    ends.push_back(texts.size());
  }
  TokenizerSpec spec{.model = "llama"};
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    spec.tokens.push_back(std::string_view(texts).substr(begin, end - begin));
    begin = end;
  }
  const Tokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.find("t999999"), 999999);
  spec.tokens.resize((1 << 24) + 1, "x");
  expect_refused(spec, ErrorKind::bad_file, "tokenizer.ggml.tokens: 16777217 tokens");
}

// Long enough that time in the square of the length would be noticed as a test that never ends.
TEST(HostileTexts, LongRunsOfAnyKindComeBack) {
  const Vocabulary bytes = byte_level_vocabulary(3000);
  Vocabulary pieces = sentencepiece_vocabulary();
  for (const char* token : {"aa", "aaaa", "aaaaaaaa", "\u2581\u2581\u2581\u2581"}) pieces.add(token);
  const Tokenizer tokenizers[] = {Tokenizer(bytes.spec), Tokenizer(pieces.spec)};
  for (const std::string_view unit :
       {"a",   "A",   "7",  " ", "\n",   "!",    "\u0301",   "我",           "🦙",  "a1",     "a ",
        "a\n", " \n", "aA", "'", "\xFF", "\xE2", "\xE2\x96", "\xF0\x9F\xA6", "<0x", "\u2028", "a\u0301 "}) {
    std::string text;
    while (text.size() < 400'000) text += unit;
    for (const Tokenizer& tokenizer : tokenizers)
      EXPECT_TRUE(tokenizer.decode(tokenizer.encode(text)) == text) << unit;
  }
}

TEST(HostileTexts, EveryPreTokenizerCutsEverythingOnceAndNothingElse) {
  std::mt19937 random(17);
  std::string noise;
  while (noise.size() < 20'000) noise.push_back(static_cast<char>(random() % 3 ? random() : random() % 128));
  std::vector<std::string> texts{noise, "", "\xFF", "a\xE2\x96", std::string(100, '\0')};
  for (const char* unit : {"a", "1", " ", "\r\n", "-", "\u0301", "我", "a1", "A ", "\t a"}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    texts.push_back(text + "x");
  }
  for (const PreTokenizerRules& rules : pre_tokenizers()) {
    SCOPED_TRACE(rules.name);
    const PreTokenizer split(rules.steps);
    for (const std::string& text : texts) {
      std::vector<std::uint32_t> ends{99};
      split.split(text, ends);
      std::uint32_t last = 0;
      for (const std::uint32_t end : ends) {
        ASSERT_GT(end, last);
        last = end;
      }
      ASSERT_EQ(last, text.size());
    }
  }
}

std::string charsmap(std::vector<std::uint32_t> units, std::string_view texts) {
  std::string blob;
  const auto put = [&blob](std::uint32_t v) {
    for (int i = 0; i < 4; ++i) blob.push_back(static_cast<char>(v >> (8 * i)));
  };
  put(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t unit : units) put(unit);
  return blob.append(texts);
}

TEST(Charsmap, BlobsThatDoNotHoldTogetherAreRefused) {
  using std::string_literals::operator""s;
  for (const std::string& blob :
       {"\1"s, "\1\0\0\0"s, "\4\0\0\0abc"s, "\xFF\xFF\xFF\xFF"s, "\5\0\0\0abcde"s,
        charsmap({1, 2, 3}, "no end"), charsmap({1}, std::string(300, 'a') + '\0')}) {
    EXPECT_THROW(Charsmap{blob}, Error) << testing::PrintToString(blob);
  }
}

TEST(Charsmap, NoTrieLeadsOutOfBounds) {
  std::mt19937 random(23);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint32_t> units(random() % 300);
    for (std::uint32_t& unit : units)
      unit = random() % 2 ? random() : (random() % 256) | (random() % 64) << 8;
    const Charsmap map(charsmap(units, std::string_view("ab\0cd\0", 6)));
    std::string text;
    while (text.size() < 100) text.push_back(static_cast<char>(random()));
    for (std::size_t at = 0; at < text.size();) {
      const Charsmap::Rewrite rewrite = map.rewrite(text, at);
      ASSERT_GE(rewrite.consumed, 1u);
      at += rewrite.consumed;
      ASSERT_LE(at, text.size());
    }
  }
}

}  // namespace
}  // namespace medlar::text
