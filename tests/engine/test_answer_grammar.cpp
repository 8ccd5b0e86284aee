// Grammars that wait for a trigger, and what of an answer's text reaches the parser when.
#include <gtest/gtest.h>

#include "engine/answer_grammar.h"
#include "engine/reply_stream.h"
#include "text/grammar/gbnf.h"

namespace medlar {
namespace {

using grammar::Vocabulary;

// Letters and marks, a token each; two longer ones; one control token; the end.
enum : std::int32_t { kSpace = ' ', kOpenBrace = 128, kOpenBad = 129, kMark = 130, kEnd = 131, kSize = 132 };

std::shared_ptr<const Vocabulary> vocabulary() {
  static std::vector<std::string> texts = [] {
    std::vector<std::string> all;
    for (int c = 0; c < 128; ++c) all.emplace_back(1, static_cast<char>(c));
    all.insert(all.end(), {"<c>{", "<c>!", grammar::token_bytes(kMark)});
    return all;
  }();
  std::vector<Vocabulary::Token> tokens;
  for (std::size_t i = 0; i < texts.size(); ++i) tokens.push_back({static_cast<std::int32_t>(i), texts[i]});
  return std::make_shared<const Vocabulary>(kSize, tokens, std::vector<std::int32_t>{kEnd});
}

GenerateOptions options_for(std::string_view gbnf, std::vector<std::string> triggers, bool at_start = false) {
  GenerateOptions options;
  const Vocabulary::Token mark{kMark, "[MARK]"};
  options.grammar =
      std::make_shared<grammar::Constraint>(grammar::parse_gbnf(gbnf, {}, {&mark, 1}), vocabulary());
  options.reply = std::make_shared<const ReplyPlan>(
      ReplyPlan{.format = {&reply::call_format("generic"), &reply::reasoning_format("none")},
                .triggers = std::move(triggers),
                .trigger_at_start = at_start});
  return options;
}

void say(AnswerGrammar& grammar, std::string_view text) {
  for (const char c : text) grammar.accept(c);
}

TEST(AnswerGrammar, WaitsForItsTrigger) {
  AnswerGrammar grammar(options_for(R"(root ::= "<c>" "{}")", {"<c>"}));
  say(grammar, "Some text <c");
  EXPECT_FALSE(grammar.awake());
  EXPECT_TRUE(grammar.allows('x'));
  say(grammar, ">");
  EXPECT_TRUE(grammar.awake());
  EXPECT_TRUE(grammar.allows('{'));
  EXPECT_FALSE(grammar.allows('x'));
  say(grammar, "{}");
  EXPECT_TRUE(grammar.finished());
}

TEST(AnswerGrammar, RefusesATokenThatBeginsACallAndBreaksIt) {
  AnswerGrammar grammar(options_for(R"(root ::= "<c>" "{}")", {"<c>"}));
  say(grammar, "Text");
  EXPECT_TRUE(grammar.allows(kOpenBrace));
  EXPECT_FALSE(grammar.allows(kOpenBad));
  grammar.accept(kOpenBrace);
  EXPECT_TRUE(grammar.awake());
  say(grammar, "}");
  EXPECT_TRUE(grammar.finished());
}

TEST(AnswerGrammar, ASpelledMarkIsNoSpecialToken) {
  AnswerGrammar grammar(options_for(R"(root ::= "[MARK]" "x")", {grammar::token_bytes(kMark)}));
  say(grammar, "[MARK]");
  EXPECT_FALSE(grammar.awake());
  grammar.accept(kMark);
  EXPECT_TRUE(grammar.awake());
  EXPECT_FALSE(grammar.allows(kMark));
  say(grammar, "x");
  EXPECT_TRUE(grammar.finished());
}

TEST(AnswerGrammar, TextInAGrammarIsNeverASpecialToken) {
  AnswerGrammar grammar(options_for("root ::= [^a]+", {}));
  EXPECT_TRUE(grammar.awake());
  EXPECT_FALSE(grammar.allows(kMark));
  EXPECT_TRUE(grammar.allows('b'));
}

TEST(AnswerGrammar, CountsOnlyWhereTheContentBegins) {
  AnswerGrammar late(options_for(R"(root ::= "{" "}")", {"{"}, true));
  say(late, "a {");
  EXPECT_FALSE(late.awake());
  AnswerGrammar early(options_for(R"(root ::= "{" "}")", {"{"}, true));
  say(early, " \n{");
  EXPECT_TRUE(early.awake());
}

TEST(AnswerGrammar, ReasoningHasNoTriggersAndContentBeginsAfterIt) {
  AnswerGrammar grammar(options_for(R"(root ::= "{" "}")", {"{"}, true));
  grammar.set_reasoning(true);
  say(grammar, "think {");
  EXPECT_FALSE(grammar.awake());
  grammar.set_reasoning(false);
  say(grammar, "{");
  EXPECT_TRUE(grammar.awake());
}

TEST(AnswerGrammar, ThrowsForATokenOutsideIt) {
  AnswerGrammar grammar(options_for(R"(root ::= "ab")", {}));
  EXPECT_THROW(grammar.accept('x'), Error);
}

TEST(Gbnf, HolesAreFilledWithOtherGrammars) {
  const grammar::GbnfHole hole{"inner", grammar::parse_gbnf(R"g(root ::= "[MARK]" | "(" root ")")g")};
  const Vocabulary::Token mark{kMark, "[MARK]"};
  GenerateOptions options;
  options.grammar = std::make_shared<grammar::Constraint>(
      grammar::parse_gbnf(R"(root ::= "[MARK]" inner "!")", {&hole, 1}, {&mark, 1}), vocabulary());
  AnswerGrammar grammar(options);
  grammar.accept(kMark);
  say(grammar, "([MARK])!");  // within the hole it is text
  EXPECT_TRUE(grammar.finished());
  EXPECT_THROW(grammar::parse_gbnf("root ::= inner", {}, {}), Error);
}

std::string content(const std::vector<reply::Delta>& deltas) {
  std::string text;
  for (const reply::Delta& delta : deltas) text += delta.text;
  return text;
}

TEST(ReplyStream, SpecialTokensWaitForTheTextBeforeThem) {
  const ReplyPlan plan{
      .format = {&reply::call_format("generic"), &reply::reasoning_format("think"), {"<think>", "</think>"}}};
  ReplyStream stream(plan);
  stream.note_special("<think>");
  EXPECT_TRUE(stream.in_reasoning());
  stream.note_text(4);
  stream.note_special("</think>");  // the text is held back, as it may begin a stop string
  EXPECT_TRUE(stream.in_reasoning());
  EXPECT_EQ(content(stream.push("ab")), "ab");
  EXPECT_TRUE(stream.in_reasoning());
  stream.note_text(3);
  EXPECT_EQ(content(stream.push("cdxyz")), "cdxyz");
  EXPECT_FALSE(stream.in_reasoning());
  stream.finish();
  EXPECT_EQ(stream.reply().reasoning, "abcd");
  EXPECT_EQ(stream.reply().content, "xyz");
  EXPECT_EQ(stream.reply().text, "<think>abcd</think>xyz");
}

}  // namespace
}  // namespace medlar
