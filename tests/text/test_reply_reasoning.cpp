// Reasoning is split off, whether the answer or the prompt opened it; marks of other parts disappear.
#include <gtest/gtest.h>

#include "tests/text/reply_support.h"

namespace medlar::reply {
namespace {

struct Example {
  std::string_view format;
  std::string_view text;
  std::string_view reasoning;
  std::string_view content;
  std::string_view opened = "";
};

constexpr Example kExamples[] = {
    {"think", "<think>\nHm.\n\nYes.\n</think>\n\nHello.\n", "Hm.\n\nYes.", "Hello.\n"},
    {"think", "Hm.\n</think>\n\nHello.", "Hm.", "Hello.", "<think>"},
    {"think", "<think></think>Hello.", "", "Hello."},
    {"think", "</think>\n\nHello.", "", "Hello."},
    {"think", "Hello.", "", "Hello."},
    {"think", "  Hello <b>.\n", "", "  Hello <b>.\n"},
    {"think", "<think>Never ends", "Never ends", ""},
    {"think", "<think>a < b </thin c</think>d", "a < b </thin c", "d"},
    {"think", "<think>a</think>b\n<think>c</think>\nd", "a\nc", "b\n\nd"},
    {"think", "a </think> b", "", "a </think> b"},
    {"think-response", "<think>Hm.</think>\n<response>Hello.</response>", "Hm.", "Hello."},
    {"think-answer", "<think>Hm.</think><answer>\nHello.\n</answer>", "Hm.", "Hello.\n"},
    {"mistral", "[THINK]Hm [a].[/THINK]Hello.", "Hm [a].", "Hello."},
    {"command", "<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Hello.<|END_RESPONSE|>", "Hm.",
     "Hello."},
    {"command", "Hm.<|END_THINKING|><|START_TEXT|>Hello.<|END_TEXT|>", "Hm.", "Hello.", "<|START_THINKING|>"},
    {"gemma4", "<|channel>thought\nHm.\n<channel|>Hello.", "Hm.", "Hello."},
    {"seed", "<seed:think>\nHm.\n</seed:think>Hello.", "Hm.", "Hello."},
    {"apertus", "<|inner_prefix|>Hm.<|inner_suffix|>Hello.", "Hm.", "Hello."},
    {"granite", "Here is my thought process:\n\nHm.\n\nHere is my response:\nHello.", "Hm.", "Hello."},
    {"thought", "<thought>Hm.</thought>Hello.", "Hm.", "Hello."},
    {"harmony",
     "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|return|"
     ">",
     "Hm.", "Hello.", "<|start|>assistant"},
    {"harmony", "<|channel|>analysis<|message|>Hm.<|start|>assistant<|channel|>final<|message|>Hello.", "Hm.",
     "Hello.", "<|start|>assistant"},
    {"harmony", "<|channel|>commentary<|message|>First I look.<|end|>", "", "First I look.",
     "<|start|>assistant"},
    {"harmony", "Hello.", "", "Hello.", "<|start|>assistant"},
    {"none", "<think>Hm.</think>", "", "<think>Hm.</think>"},
};

TEST(ReplyReasoning, IsSplitOffHoweverTheTextIsCut) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(testing::Message() << example.format << ": " << example.text);
    const Reply reply = parse_every_cut(format_of("hermes", example.format), example.text,
                                        {.opened = std::string(example.opened)});
    EXPECT_EQ(reply.reasoning, example.reasoning);
    EXPECT_EQ(reply.content, example.content);
    EXPECT_TRUE(reply.calls.empty());
    EXPECT_FALSE(reply.malformed);
  }
}

TEST(ReplyReasoning, StaysInTheContentWhereItIsNotSplit) {
  const Reply reply =
      parse(format_of("hermes", "think"), "<think>\nHm.\n</think>\nHello.", {.split_reasoning = false});
  EXPECT_EQ(reply.content, "<think>\nHm.\n</think>\nHello.");
  EXPECT_EQ(reply.reasoning, "");
}

TEST(ReplyReasoning, GoesBeforeCalls) {
  const Reply reply = parse_every_cut(format_of("harmony", "harmony"),
                                      "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|"
                                      ">commentary<|message|>One moment."
                                      "<|end|><|start|>assistant<|channel|>commentary to=functions.f "
                                      "<|constrain|>json<|message|>{\"a\":1}<|call|>",
                                      {.opened = "<|start|>assistant"});
  EXPECT_EQ(reply.reasoning, "Look.");
  EXPECT_EQ(reply.content, "One moment.");
  ASSERT_EQ(reply.calls.size(), 1U);
  EXPECT_EQ(reply.calls[0].arguments, "{\"a\":1}");
}

TEST(ReplyReasoning, AMarkerOfCallsMayEndIt) {
  const Reply kimi = parse_every_cut(
      format_of("kimi", "think"),
      "Look.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}"
      "<|tool_call_end|><|tool_calls_section_end|>",
      {.opened = "<think>"});
  EXPECT_EQ(kimi.reasoning, "Look.");
  EXPECT_EQ(kimi.calls.size(), 1U);
  const Reply hermes =
      parse(format_of("hermes", "think"),
            "I may write <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call> soon.</think>No.",
            {.opened = "<think>"});
  EXPECT_TRUE(hermes.calls.empty());
  EXPECT_EQ(hermes.content, "No.");
}

TEST(ReplyReasoning, ThePromptSaysWhatIsOpen) {
  const auto opened = [](std::string_view calls, std::string_view reasoning, std::string_view prompt) {
    return opened_by(format_of(calls, reasoning), prompt);
  };
  EXPECT_EQ(opened("hermes", "think", "<|im_start|>assistant\n<think>\n"), "<think>");
  EXPECT_EQ(opened("hermes", "think", "<|im_start|>assistant\n<think>\n\n</think>\n\n"), "");
  EXPECT_EQ(opened("hermes", "think", "Say <think>.<|im_start|>assistant\n"), "");
  EXPECT_EQ(opened("harmony", "harmony", "<|end|><|start|>assistant"), "<|start|>assistant");
  EXPECT_EQ(opened("functionary-v3.2", "functionary", "<|end_header_id|>\n\n>>>"), ">>>");
  EXPECT_EQ(opened("gemma4", "gemma4", "<|turn>model\n<|channel>thought\n"), "<|channel>thought\n");
}

TEST(ReplyReasoning, FunctionaryNamesTheFirstPart) {
  const ReplyFormat format = format_of("functionary-v3.2", "functionary");
  const Reply both = parse_every_cut(format, "all\nLet me see.>>>f\n{\"a\": 1}>>>g\n{}", {.opened = ">>>"});
  EXPECT_EQ(both.content, "Let me see.");
  EXPECT_EQ(both.calls, (std::vector<Call>{{"", "f", "{\"a\": 1}", 0}, {"", "g", "{}", 1}}));
  const Reply call = parse_every_cut(format, "f\n{\"a\": 1}", {.opened = ">>>"});
  EXPECT_EQ(call.calls, (std::vector<Call>{{"", "f", "{\"a\": 1}", 0}}));
  EXPECT_EQ(call.content, "");
}

TEST(ReplySpecialTokens, OnlyCountWhereTheyWereSampledAsSuch) {
  ReplyFormat format = format_of("hermes", "think");
  format.special_tokens = {"<tool_call>", "<|im_end|>"};
  const std::string_view body = "{\"name\": \"f\", \"arguments\": {}}";
  const auto parsed = [&](bool special) {
    ReplyParser parser(format);
    parser.push("A ");
    parser.push("<tool_call>", special);
    parser.push(body);
    parser.push("</tool_call>");
    parser.push("<|im_end|>", true);
    parser.finish();
    return parser.reply();
  };
  EXPECT_EQ(parsed(true).calls.size(), 1U);
  EXPECT_EQ(parsed(true).content, "A");
  EXPECT_TRUE(parsed(false).calls.empty());
  EXPECT_EQ(parsed(false).content, "A <tool_call>" + std::string(body) + "</tool_call>");
  EXPECT_TRUE(parsed(false).text.ends_with("</tool_call><|im_end|>"));
}

}  // namespace
}  // namespace medlar::reply
