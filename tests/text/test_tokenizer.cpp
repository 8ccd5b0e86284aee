// Encoding and decoding with vocabularies small enough to work out by hand.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/token_vocabularies.h"
#include "text/token_stream.h"
#include "text/tokenizer.h"

namespace medlar::text {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string all_bytes() {
  std::string text;
  for (int round = 0; round < 3; ++round) {
    for (int byte = 0; byte < 256; ++byte) text.push_back(static_cast<char>(byte * (2 * round + 1)));
  }
  return text;
}

std::string stream(const Tokenizer& tokenizer, std::span<const TokenId> tokens, TokenId previous = kNoToken) {
  TextStream stream(tokenizer, previous);
  std::string out;
  for (const TokenId token : tokens) out += stream.push(token);
  return out + stream.finish();
}

TEST(ByteLevelBpe, MergesByRankThenFromTheLeft) {
  Vocabulary v = byte_level_vocabulary();  // t h
  v.learn("h", "e");
  v.learn("th", "e");
  v.learn("a", "a");
  v.learn("aa", "a");
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("the"), ElementsAre(v.find("the")));
  EXPECT_THAT(tokenizer.encode("he"), ElementsAre(v.find("he")));
  EXPECT_THAT(tokenizer.encode("aaaaa"), ElementsAre(v.find("aa"), v.find("aaa")));
  EXPECT_THAT(tokenizer.encode("aaa"), ElementsAre(v.find("aaa")));
  EXPECT_THAT(tokenizer.encode(""), IsEmpty());
}

TEST(ByteLevelBpe, TheFirstOfEqualMergesCounts) {
  Vocabulary v = byte_level_vocabulary();
  v.learn("b", "c");
  v.learn("a", "b");
  v.merge("b", "c");
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("abc"), ElementsAre(v.find("a"), v.find("bc")));
}

TEST(ByteLevelBpe, AnyBytesComeBack) {
  const Vocabulary v = byte_level_vocabulary(2000);
  const Tokenizer tokenizer(v.spec);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(all_bytes())), all_bytes());
}

TEST(ByteLevelBpe, WholeWordsWinOverMergesWhereTheModelSaysSo) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId word = v.add("word");
  EXPECT_THAT(Tokenizer(v.spec).encode("word").size(), 4);
  v.spec.pre = "llama-bpe";
  v.spec.add_bos = false;
  EXPECT_THAT(Tokenizer(v.spec).encode("word"), ElementsAre(word));
}

TEST(ByteLevelBpe, ABytesWithoutATokenIsLeftOut) {
  Vocabulary v;
  v.spec.model = "gpt2";
  v.spec.pre = "gpt-2";
  v.add("a");
  v.add("b");
  v.add("ab");
  v.merge("a", "b");
  EXPECT_THAT(Tokenizer(v.spec).encode("axb ab"), ElementsAre(0, 1, 2));
}

TEST(Words, SeenBeforeGiveTheSameTokens) {
  const Vocabulary v = byte_level_vocabulary(3000, 7);
  const Tokenizer tokenizer(v.spec);
  std::mt19937 random(3);
  std::string text;
  std::vector<TokenId> expected;
  // Words of few letters repeat; short texts are encoded without a memory of words.
  while (text.size() < 50'000) {
    std::string word = " ";
    for (std::uint32_t n = random() % 6 + 1; n > 0; --n)
      word.push_back(static_cast<char>('a' + random() % 4));
    text += word;
    for (const TokenId id : tokenizer.encode(word)) expected.push_back(id);
  }
  EXPECT_EQ(tokenizer.encode(text), expected);
}

TEST(SpecialTokens, ControlTokensAreParsedOnlyOnRequestAndUserDefinedAlways) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId end = v.add("<end>", TokenType::control);
  const TokenId user = v.add("<u>", TokenType::user_defined);
  const TokenId unknown = v.add("<what>", TokenType::unknown);
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("<u><end>", {.parse_special = true}), ElementsAre(user, end));
  EXPECT_THAT(tokenizer.encode("<what>", {.parse_special = true}), ElementsAre(unknown));
  EXPECT_THAT(tokenizer.encode("<u><end>"), ElementsAre(user, '<', 'e', 'n', 'd', '>'));
  EXPECT_EQ(tokenizer.decode(std::vector{user, end, unknown}), "<u>");
  EXPECT_EQ(tokenizer.decode(std::vector{user, end, unknown}, {.special = true}), "<u><end><what>");
  EXPECT_EQ(tokenizer.find("<end>"), end);
  EXPECT_EQ(tokenizer.find("th"), v.find("th"));
  EXPECT_EQ(tokenizer.find("<none>"), kNoToken);
}

TEST(SpecialTokens, TheLongestOfThoseThatStartFirst) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId a = v.add("<a>", TokenType::control);
  const TokenId aa = v.add("<a><a>", TokenType::control);
  const TokenId tail = v.add("><", TokenType::control);
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("<a><a><a>", {.parse_special = true}), ElementsAre(aa, a));
  EXPECT_THAT(tokenizer.encode("x><a>", {.parse_special = true}), ElementsAre('x', tail, 'a', '>'));
}

TEST(SpecialTokens, WhiteSpaceAroundThemIsStrippedWhereTheModelDoes) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId user = v.add("<|user|>", TokenType::control);
  const TokenId mask = v.add("<mask>", TokenType::control);
  v.spec.ids.mask = static_cast<std::uint32_t>(mask);
  v.spec.strip_after_special = v.spec.strip_before_mask = true;
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("a <|user|>\n b \n<mask>c", {.parse_special = true}),
              ElementsAre('a', ' ', user, 'b', mask, 'c'));
}

TEST(SpecialTokens, BeginAndEndAsTheFileSaysOrTheKindDoes) {
  Vocabulary v = byte_level_vocabulary();
  const auto bos = static_cast<std::uint32_t>(v.add("<s>", TokenType::control));
  const auto eos = static_cast<std::uint32_t>(v.add("</s>", TokenType::control));
  v.spec.ids.bos = bos;
  v.spec.ids.eos = eos;
  EXPECT_THAT(Tokenizer(v.spec).encode("x"), ElementsAre('x'));
  v.spec.add_bos = v.spec.add_eos = true;
  EXPECT_THAT(Tokenizer(v.spec).encode("x"), ElementsAre(bos, 'x', eos));
  EXPECT_THAT(Tokenizer(v.spec).encode("x", {.add_special = false}), ElementsAre('x'));
  EXPECT_THAT(Tokenizer(v.spec).encode(""), ElementsAre(bos, eos));
  v.spec.add_bos.reset();
  v.spec.add_eos.reset();
  v.spec.pre = "llama-bpe";
  EXPECT_THAT(Tokenizer(v.spec).encode("x"), ElementsAre(bos, 'x'));
  EXPECT_THAT(Tokenizer(sentencepiece_vocabulary().spec).encode("a"), ElementsAre(1, 259));
}

TEST(EndTokens, ComeFromIdsAndFromWellKnownNames) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId eos = v.add("<finis>", TokenType::control);
  const TokenId turn = v.add("<|im_end|>");  // some files forget to call it a control token
  const TokenId struck = v.add("</s>", TokenType::user_defined);
  v.spec.ids.eos = static_cast<std::uint32_t>(eos);
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.end_tokens(), ElementsAre(eos, turn));
  EXPECT_TRUE(tokenizer.is_end(turn));
  EXPECT_FALSE(tokenizer.is_end(struck)) << "HTML";
  EXPECT_EQ(tokenizer.special().eot, turn);
  EXPECT_EQ(tokenizer.type(turn), TokenType::control);
}

TEST(EndTokens, TheEndOfAHarmonyMessageIsNotTheEndOfTheTurn) {
  Vocabulary v = byte_level_vocabulary();
  const TokenId end = v.add("<|end|>", TokenType::control);
  const TokenId back = v.add("<|return|>", TokenType::control);
  const TokenId call = v.add("<|call|>", TokenType::control);
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.end_tokens(), ElementsAre(back, call));
  EXPECT_FALSE(tokenizer.is_end(end));
}

TEST(SentencePiece, PrefixSpaceComesAndGoes) {
  Vocabulary v = sentencepiece_vocabulary();
  const TokenId mark = v.add("<m>", TokenType::control);
  const Tokenizer tokenizer(v.spec);
  const auto ids = tokenizer.encode("ab<m>ab  c", {.parse_special = true});
  EXPECT_THAT(
      ids, ElementsAre(1, v.find("\u2581ab"), mark, v.find("\u2581ab"), v.find("\u2581\u2581"), v.find("c")));
  EXPECT_EQ(tokenizer.decode(ids), "abab  c");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(" a")), " a");
  EXPECT_EQ(stream(tokenizer, ids), "abab  c");
  // In the middle of a text the space is the model's own.
  EXPECT_EQ(stream(tokenizer, std::vector{v.find("\u2581ab")}, v.find("c")), " ab");
  v.spec.add_space_prefix = false;
  EXPECT_THAT(Tokenizer(v.spec).encode("ab"), ElementsAre(1, v.find("ab")));
  EXPECT_EQ(Tokenizer(v.spec).decode(std::vector{v.find("\u2581ab")}), " ab");
}

TEST(SentencePiece, UnknownCharactersBecomeBytesOrOneUnknownToken) {
  Vocabulary v = sentencepiece_vocabulary();
  v.spec.add_bos = v.spec.add_space_prefix = false;
  const auto byte = [](int b) { return b + 3; };
  EXPECT_THAT(Tokenizer(v.spec).encode("aé\xFF"),
              ElementsAre(v.find("a"), byte(0xC3), byte(0xA9), byte(0xFF)));
  EXPECT_EQ(Tokenizer(v.spec).decode(Tokenizer(v.spec).encode(all_bytes())), all_bytes());

  Vocabulary w;
  w.spec.model = "llama";
  w.spec.add_space_prefix = false;
  w.add("<unk>", TokenType::unknown);
  w.add("<s>", TokenType::control);
  w.add("a");
  w.spec.add_bos = false;
  EXPECT_THAT(Tokenizer(w.spec).encode("aéЖa我"), ElementsAre(2, 0, 2, 0));
}

TEST(SentencePiece, TheSpaceMarkInTextIsASpace) {
  const Vocabulary v = sentencepiece_vocabulary();
  const Tokenizer tokenizer(v.spec);
  EXPECT_EQ(tokenizer.encode("c\u2581ab\u2581\u2581"), tokenizer.encode("c ab  "));
}

TEST(CharacterBpe, MergesAcrossSpacesAndKeepsNewlineRuns) {
  Vocabulary v;
  v.spec.model = "gemma4";
  for (int byte = 0; byte < 256; ++byte) v.add(byte_token(byte), TokenType::byte);
  const TokenId bos = v.add("<bos>", TokenType::control);
  v.spec.ids.bos = static_cast<std::uint32_t>(bos);
  v.spec.add_bos = false;  // the files say so and are wrong
  for (const char* token : {"\u2581", "a", "b", "\n"}) v.add(token);
  v.learn("a", "\u2581");
  v.learn("a\u2581", "b");
  const TokenId newlines = v.add("\n\n\n");
  const Tokenizer tokenizer(v.spec);
  const auto ids = tokenizer.encode("a b\n\n\nb");
  EXPECT_THAT(ids, ElementsAre(bos, v.find("a\u2581b"), newlines, v.find("b")));
  EXPECT_EQ(tokenizer.decode(ids), "a b\n\n\nb");
  EXPECT_THAT(tokenizer.encode("é", {.add_special = false}), ElementsAre(0xC3, 0xA9));
}

TEST(WordPiece, SplitsWordsFromTheLeft) {
  Vocabulary v;
  v.spec.model = "bert";
  v.add("[PAD]", TokenType::control);
  const TokenId unk = v.add("[UNK]", TokenType::control);
  const TokenId cls = v.add("[CLS]", TokenType::control);
  const TokenId sep = v.add("[SEP]", TokenType::control);
  const TokenId un = v.add("\u2581un"), affable = v.add("affable"), aff = v.add("aff"),
                comma = v.add("\u2581,"), e = v.add("\u2581e");
  v.spec.ids = {.bos = cls, .unk = unk, .sep = sep};
  const Tokenizer tokenizer(v.spec);
  EXPECT_THAT(tokenizer.encode("UNaffable,\u00C9 zzz unaffx"),
              ElementsAre(cls, un, affable, comma, e, unk, unk, sep));
  EXPECT_EQ(tokenizer.decode(std::vector{cls, un, affable, comma, e, sep}), "unaffable , e");
  EXPECT_EQ(aff, tokenizer.find("aff"));
  v.spec.lowercase = false;
  EXPECT_THAT(Tokenizer(v.spec).encode("UN un", {.add_special = false}), ElementsAre(unk, un));
}

TEST(TextStream, SaysWhatDecodeSaysAndNeverSplitsACharacter) {
  const Vocabulary v = sentencepiece_vocabulary();
  const Tokenizer tokenizer(v.spec);
  const std::string text = "ab 我🦙é c";
  const auto ids = tokenizer.encode(text);
  TextStream out(tokenizer);
  std::string said;
  for (const TokenId id : ids) {
    const std::string part = out.push(id);
    Utf8Stream whole;
    EXPECT_EQ(whole.push(part) + whole.finish(), part);
    said += part;
  }
  EXPECT_EQ(said + out.finish(), text);
  EXPECT_EQ(stream(tokenizer, std::span(ids).first(ids.size() - 3)), "ab 我🦙\uFFFD");
}

TEST(Tokenizer, RefusesIdsThatAreNoTokens) {
  const Vocabulary v = byte_level_vocabulary();
  const Tokenizer tokenizer(v.spec);
  EXPECT_THROW(tokenizer.decode(std::vector{-1}), Error);
  EXPECT_THROW(tokenizer.piece(tokenizer.size()), Error);
  EXPECT_THROW(tokenizer.type(kNoToken), Error);
  EXPECT_FALSE(tokenizer.is_end(-5));
}

TEST(Tokenizer, WarnsWhenThePreTokenizerIsNotNamed) {
  Vocabulary v = byte_level_vocabulary();
  EXPECT_EQ(Tokenizer(v.spec).warning(), "");
  v.spec.pre = "";
  EXPECT_THAT(Tokenizer(v.spec).warning(), testing::HasSubstr("tokenizer.ggml.pre"));
}

TEST(Tokenizer, ServesManyThreads) {
  const Vocabulary v = byte_level_vocabulary(2000);
  const Tokenizer tokenizer(v.spec);
  const std::string text = all_bytes() + std::string(2000, 'a') + " the other text " + all_bytes();
  const auto expected = tokenizer.encode(text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        EXPECT_EQ(tokenizer.encode(text), expected);
        EXPECT_EQ(tokenizer.decode(expected), text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace medlar::text
