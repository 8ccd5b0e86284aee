// Grammars: masks are what trying every token gives, states may be copied and taken back, limits end in
// errors.
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/grammar/dfa.h"
#include "text/grammar/grammar.h"
#include "text/grammar/matcher.h"
#include "text/unicode.h"

namespace medlar::grammar {
namespace {

using ::testing::HasSubstr;

// All bytes, and random texts of the characters that the grammars below use, some longer than every band.
std::shared_ptr<const Vocabulary> vocabulary(std::string_view alphabet, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (int i = 0; i < 400; ++i) {
    std::string text;
    const std::size_t length = 2 + random() % (i % 10 == 0 ? 45 : 9);
    while (text.size() < length) text += alphabet[random() % alphabet.size()];
    texts.push_back(text);
  }
  texts.emplace_back("");  // a control token
  std::vector<Vocabulary::Token> tokens;
  for (std::size_t i = 0; i < texts.size(); ++i) tokens.push_back({static_cast<TokenId>(i), texts[i]});
  const auto end = static_cast<TokenId>(texts.size());
  return std::make_shared<Vocabulary>(end + 2, std::move(tokens), std::vector<TokenId>{end + 1, end});
}

std::vector<bool> masked(Matcher& matcher, const Vocabulary& v) {
  std::vector<std::uint64_t> bits(v.words());
  matcher.mask(bits);
  std::vector<bool> result;
  for (TokenId t = 0; t < v.size(); ++t)
    result.push_back((bits[static_cast<std::size_t>(t) / 64] >> (t % 64) & 1) != 0);
  return result;
}

std::vector<bool> tried(const Matcher& matcher, const Vocabulary& v) {
  std::vector<bool> result;
  for (TokenId t = 0; t < v.size(); ++t) result.push_back(Matcher(matcher).accept(t));
  return result;
}

struct Case {
  const char* name;
  Rules (*parse)(std::string_view);
  const char* source;
  const char* alphabet;
};
Rules schema(std::string_view source) { return parse_json_schema(source); }

const Case kCases[] = {
    {"strings", parse_gbnf, R"g(root ::= "\"" [^"\\]* "\"" ("," root)?)g", "ab\",\xC3\xA9 "},
    {"nesting", parse_gbnf, R"g(root ::= "(" root* ")" | [ab]+)g", "()ab"},
    {"left recursion", parse_gbnf,
     R"g(root ::= root "+" t | t   t ::= t "*" f | f   f ::= [0-9]+ | "(" root ")")g", "+*()01"},
    {"indirect left recursion", parse_gbnf,
     R"g(root ::= a | "x"   a ::= b "y" | "z"   b ::= root "w" | e a   e ::= "q"?)g", "xyzwq"},
    {"counts", parse_gbnf, R"g(root ::= ([a-c]{3,40} ";"){2,5} [ab]{20})g", "abc;"},
    {"counted rules", parse_gbnf, R"g(root ::= "<" x{0,60} ">" "b"*   x ::= "a" | "bb" | "c" x "c")g",
     "abc<>"},
    {"nested counts", parse_gbnf, R"g(root ::= (("a" "b"?){5,9} "c"){0,30})g", "abc"},
    {"nothing", parse_gbnf, R"g(root ::= e e "a"? e   e ::= "" | "b"? | (e)*)g", "ab"},
    {"ambiguous", parse_gbnf, R"g(root ::= "a" root "x" | "a" root "y" | root root | "b")g", "abxy"},
    {"right recursion", parse_gbnf, R"g(root ::= "a" root | "b" r2 | ""   r2 ::= "c" root | r2 "d" | "d")g",
     "abcd"},
    {"characters", parse_gbnf, "root ::= ([^a\\x00-\\x1F] | [\xC3\xA4-\xE2\x82\xAC] \"a\" | .)*",
     "a\xC3\xA4\xE2\x82\xAC\xF0\x9F"},
    {"schema", schema,
     R"g({"type":"object","properties":{"a":{"type":"string","maxLength":20},"b":{"type":"array","items":{"type":"integer","minimum":-5,"maximum":300}},"c":{"$ref":"#"}}})g",
     "{}[]\",:abc012 -\n"},
    {"pattern", parse_regex, "(ab?|b{2,3}a)+c?|[^abc]{0,12}", "abcd"},
};

class GrammarMask : public ::testing::TestWithParam<Case> {};

TEST_P(GrammarMask, IsWhatTryingEveryTokenGives) {
  const Case& c = GetParam();
  for (std::uint32_t seed = 1; seed <= 4; ++seed) {
    const auto v = vocabulary(c.alphabet, seed);
    const auto constraint = std::make_shared<Constraint>(c.parse(c.source), v);
    std::mt19937 random(seed);
    Matcher matcher(constraint);
    for (int step = 0; step < 60; ++step) {
      const std::vector<bool> allowed = masked(matcher, *v);
      ASSERT_EQ(allowed, tried(matcher, *v)) << "after " << matcher.text();
      std::vector<TokenId> choices;
      for (TokenId t = 0; t < v->size(); ++t)
        if (allowed[static_cast<std::size_t>(t)] && !v->is_end(t)) choices.push_back(t);
      EXPECT_TRUE(!choices.empty() || matcher.complete()) << "after " << matcher.text();
      if (choices.empty()) break;
      ASSERT_TRUE(matcher.accept(choices[random() % choices.size()]));
    }
  }
}

// A machine that forgets all the time gives the same masks.
TEST_P(GrammarMask, SurvivesForgetting) {
  const Case& c = GetParam();
  const auto v = vocabulary(c.alphabet, 9);
  const auto whole = std::make_shared<Constraint>(c.parse(c.source), v);
  const auto forgetful =
      std::make_shared<Constraint>(c.parse(c.source), v, CompileLimits{}, MachineLimits{.trim = 1});
  std::mt19937 random(3);
  Matcher a(whole), b(forgetful);
  for (int step = 0; step < 30; ++step) {
    const std::vector<bool> allowed = masked(a, *v);
    ASSERT_EQ(allowed, masked(b, *v));
    std::vector<TokenId> choices;
    for (TokenId t = 0; t < v->size(); ++t)
      if (allowed[static_cast<std::size_t>(t)] && !v->is_end(t)) choices.push_back(t);
    if (choices.empty()) break;
    const TokenId token = choices[random() % choices.size()];
    ASSERT_TRUE(a.accept(token) && b.accept(token));
    if (step % 7 == 6) a.rollback(2), b.rollback(2);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GrammarMask, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, ' ');
  return name;
});

std::shared_ptr<Constraint> gbnf(std::string_view source) {
  return std::make_shared<Constraint>(parse_gbnf(source), vocabulary("ab", 1));
}

TEST(GrammarMatcher, RollsBackAndCopies) {
  Matcher matcher(gbnf(R"g(root ::= "ab" ("c" | "d") "e")g"));
  EXPECT_EQ(matcher.forced(), "ab");
  EXPECT_TRUE(matcher.accept_bytes("ab"));
  EXPECT_FALSE(matcher.accept_bytes("e"));
  EXPECT_EQ(matcher.forced(), "");
  Matcher other = matcher;
  EXPECT_TRUE(matcher.accept('c'));
  EXPECT_TRUE(other.accept('d'));
  EXPECT_EQ(matcher.forced(), "e");
  EXPECT_TRUE(matcher.accept('e'));
  EXPECT_TRUE(matcher.complete() && matcher.finished());
  EXPECT_FALSE(other.complete());
  matcher.rollback(2);
  EXPECT_EQ(matcher.text(), "ab");
  EXPECT_TRUE(matcher.accept('d'));
  EXPECT_THROW(matcher.rollback(9), Error);
}

TEST(GrammarMatcher, EndTokensComeOnlyAtTheEnd) {
  const auto constraint = gbnf(R"g(root ::= "a"+)g");
  const TokenId end = constraint->vocabulary().ends()[0];
  Matcher matcher(constraint);
  EXPECT_FALSE(matcher.accept(end));
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.complete());
  EXPECT_FALSE(matcher.finished());
  EXPECT_TRUE(matcher.accept(end));
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.accept('a'));
  EXPECT_EQ(masked(matcher, constraint->vocabulary()),
            std::vector<bool>(static_cast<std::size_t>(constraint->vocabulary().size())));
  matcher.rollback(1);
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_FALSE(matcher.accept(1 << 30));
}

TEST(GrammarMatcher, DeepNestingIsRefusedNotFatal) {
  Matcher matcher(gbnf(R"g(root ::= "(" root ")" | "")g"));
  std::size_t depth = 0;
  while (depth < 100'000 && matcher.accept('(')) ++depth;
  EXPECT_GE(depth, 1000U);
  EXPECT_LT(depth, 100'000U);
  for (std::size_t i = 0; i < depth; ++i) ASSERT_TRUE(matcher.accept(')'));
  EXPECT_TRUE(matcher.finished());
}

TEST(GrammarMatcher, RightRecursionNeedsNoDepth) {
  Matcher matcher(gbnf(R"g(root ::= "a" root | "b")g"));
  ASSERT_TRUE(matcher.accept_bytes(std::string(100'000, 'a')));
  EXPECT_TRUE(matcher.accept('b'));
}

TEST(GrammarMatcher, AmbiguityEndsInAnError) {
  Matcher matcher(gbnf(R"g(root ::= "a" | root root | s   s ::= "a" s "x" | "a" t "y" | "b"   t ::= s)g"));
  const auto read = [&] {
    for (int i = 0; i < 5000; ++i) ASSERT_TRUE(matcher.accept('a'));
  };
  EXPECT_THROW(read(), Error);
  EXPECT_GT(matcher.text().size(), 50U);
}

struct BadGrammar {
  const char* source;
  const char* message;
};
class GrammarError : public ::testing::TestWithParam<BadGrammar> {};

TEST_P(GrammarError, NamesThePlace) {
  try {
    gbnf(GetParam().source);
    FAIL() << GetParam().source;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Gbnf, GrammarError,
    ::testing::Values(
        BadGrammar{"", "no rule \"root\""}, BadGrammar{"a ::= \"x\"", "no rule \"root\""},
        BadGrammar{"root ::= b", "line 1, column 10: the rule \"b\" is used but not defined"},
        BadGrammar{"root ::= \"a\nb\"", "line 1, column 10: a text without its closing quote"},
        BadGrammar{"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: the rule \"root\" is defined twice"},
        BadGrammar{"root ::= (\"a\"", "line 1, column 10: a ( without its )"},
        BadGrammar{"root ::= \"a\")", "column 13: a ) without its ("},
        BadGrammar{"root ::= [a", "a [ without its ]"}, BadGrammar{"root ::= [b-a]", "wrong way round"},
        BadGrammar{"root ::= *", "nothing stands before *"},
        BadGrammar{"root ::= \"a\"{3", "a { without its }"},
        BadGrammar{"root ::= \"a\"{3,2}", "wrong way round"},
        BadGrammar{"root ::= \"a\"{99999999999}", "more than 100000 repetitions"},
        BadGrammar{"root ::= ((\"abc\"{1000}){1000}){1000}", "more than 1000000 states"},
        BadGrammar{"root ::= \"\\q\"", "column 11: an escape that is not known"},
        BadGrammar{"root ::= \"\\xZZ\"", "expected 2 hexadecimal digits"},
        BadGrammar{"root ::= \"\\uD800\"", "is no character"}, BadGrammar{"root ::= \"\xFF\"", "not UTF-8"},
        BadGrammar{"root = \"a\"", "expected ::="},
        BadGrammar{"root ::= <think>", "tokens in a grammar are not supported"},
        BadGrammar{"root ::= root", "allows no text at all"},
        BadGrammar{"root ::= \"a\" root", "allows no text at all"},
        BadGrammar{"root ::= []", "allows no text at all"}));

TEST(GrammarLimits, HostileSourcesEndInErrors) {
  EXPECT_THROW(parse_gbnf("root ::= " + std::string(1'000'000, '(')), Error);
  EXPECT_THROW(parse_gbnf(std::string(3'000'000, ' ')), Error);
  EXPECT_THROW(regex_dfa("(a|b)*a(a|b){40}", Match::whole), Error);
  EXPECT_THROW(regex_dfa("((a{1,99}){1,99}){1,99}", Match::whole), Error);
  EXPECT_THROW(regex_dfa(std::string(100'000, '('), Match::whole), Error);
  // A chain of rules that begin with each other, and the same as a ring.
  std::string chain = "root ::= r0\n", ring;
  for (int i = 0; i < 2000; ++i) {
    chain += fmt::format("r{} ::= r{} \"a\" | r{} \"b\" | \"c\"\n", i, i + 1, i + 1);
    ring += fmt::format("r{} ::= r{} \"a\" | \"c\"\n", i, (i + 1) % 2000);
  }
  chain += "r2000 ::= \"d\"\n";
  Matcher matcher(gbnf(chain));
  Matcher other = matcher;
  EXPECT_TRUE(matcher.accept_bytes("d" + std::string(2000, 'a')));
  EXPECT_TRUE(matcher.finished());
  EXPECT_TRUE(other.accept_bytes("cab"));
  EXPECT_TRUE(other.complete());
  EXPECT_THROW(gbnf("root ::= r0\n" + ring), Error);
}

TEST(GrammarCharSet, SpellsEveryCharacterOnce) {
  std::mt19937 random(5);
  const auto number = [&] {
    constexpr char32_t kNear[] = {0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
    return random() % 2 ? kNear[random() % std::size(kNear)] : static_cast<char32_t>(random() % 0x110000);
  };
  for (int round = 0; round < 300; ++round) {
    CharSet set;
    for (int i = 0; i < 3; ++i) {
      const char32_t a = number(), b = number();
      set.add(std::min(a, b), std::max(a, b));
    }
    const auto sequences = utf8_sequences(set);
    for (int i = 0; i < 50; ++i) {
      const char32_t c = number();
      if (c >= 0xD800 && c <= 0xDFFF) continue;
      std::string bytes;
      text::append_utf8(bytes, c);
      int matches = 0;
      for (const Utf8Sequence& s : sequences) {
        bool all = static_cast<std::size_t>(s.length) == bytes.size();
        for (std::size_t k = 0; all && k < bytes.size(); ++k) {
          const auto byte = static_cast<std::uint8_t>(bytes[k]);
          all = s.bytes[k].first <= byte && byte <= s.bytes[k].last;
        }
        matches += all;
      }
      EXPECT_EQ(matches, set.contains(c) ? 1 : 0) << std::hex << static_cast<std::uint32_t>(c);
      EXPECT_NE(set.contains(c), set.complement().contains(c));
    }
  }
}

}  // namespace
}  // namespace medlar::grammar
