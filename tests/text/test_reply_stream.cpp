// Deltas come as early as they can, malformed calls become content, and budgets hold.
#include <gtest/gtest.h>

#include "tests/text/reply_support.h"

namespace medlar::reply {
namespace {

using Kind = Delta::Kind;

// The deltas after each byte, concatenated per kind.
std::vector<Delta> after(std::string_view calls, std::string_view text, const ReplyOptions& options = {}) {
  ReplyParser parser(format_of(calls, "think"), options);
  std::vector<Delta> all;
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (Delta& delta : parser.push(text.substr(i, 1))) all.push_back(std::move(delta));
  }
  return all;
}

std::string texts(const std::vector<Delta>& deltas, Kind kind) {
  std::string all;
  for (const Delta& delta : deltas) all += delta.kind == kind ? delta.text : "";
  return all;
}

TEST(ReplyStream, TextComesOnceItCannotBeAMarker) {
  EXPECT_EQ(texts(after("hermes", "Hello <tool"), Kind::content), "Hello");
  EXPECT_EQ(texts(after("hermes", "Hello <tools"), Kind::content), "Hello <tools");
  EXPECT_EQ(texts(after("hermes", "<think>Hm </thin"), Kind::reasoning), "Hm");
}

TEST(ReplyStream, ArgumentsComeAsTheyAreWritten) {
  const std::vector<Delta> json =
      after("hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"So fa");
  EXPECT_EQ(texts(json, Kind::call_arguments), "{\"a\": \"So fa");
  ASSERT_FALSE(json.empty());
  EXPECT_EQ(json[0], (Delta{Kind::call_begin, 0, {}, "f", {}}));

  const Tool tool = tool_for("f", {{"a", "text"}});
  EXPECT_EQ(
      texts(after("qwen-coder", "<tool_call><function=f><parameter=a>\nSo \"fa\n</param", {.tools = {tool}}),
            Kind::call_arguments),
      "{\"a\": \"So \\\"fa");
  EXPECT_EQ(texts(after("lfm2", "<|tool_call_start|>[f(a='So fa"), Kind::call_arguments), "{\"a\": \"So fa");
  EXPECT_EQ(texts(after("gemma4", "<|tool_call>call:f{a:<|\"|>So fa<|"), Kind::call_arguments),
            "{\"a\": \"So fa");
}

struct Broken {
  std::string_view format;
  std::string_view text;
  std::size_t calls = 0;
};

constexpr Broken kBroken[] = {
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": oops}}</tool_call>"},
    {"hermes", "<tool_call>not json</tool_call>"},
    {"hermes", "<tool_call>{\"arguments\": {}}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"\", \"arguments\": {}}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": [1]}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"\\ud800\"}}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 01}}</tool_call>"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1,}}</tool_call>"},
    {"hermes", "A <tool_call>{bad} <tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>", 1},
    {"qwen-coder", "<tool_call>\n<function=f>\n<parameter=a>\n1"},
    {"qwen-coder", "<tool_call>\n<function=f g>\n</function>\n</tool_call>"},
    {"qwen-coder", "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\nand then"},
    {"glm", "<tool_call> tags are nice"},
    {"lfm2", "<|tool_call_start|>[f(\"positional\")]<|tool_call_end|>"},
    {"lfm2", "<|tool_call_start|>[f(a=b)]<|tool_call_end|>"},
    {"lfm2", "<|tool_call_start|>[f(a=1), g(a=]<|tool_call_end|>", 1},
    {"gemma4", "<|tool_call>call:f{a:<|\"|>b}<tool_call|>"},
    {"kimi", "<|tool_calls_section_begin|>hello"},
    {"mistral-args", "[TOOL_CALLS]f[ARGS]null"},
    {"harmony", "<|channel|>commentary to=python code<|message|>print(1)<|call|>"},
    {"apertus", "<|tools_prefix|>[{\"f\": {}}, {\"g\"}]<|tools_suffix|>", 1},
};

std::string without_space(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' && c != '\n') result += c;
  }
  return result;
}

TEST(ReplyStream, AMalformedCallBecomesContent) {
  for (const Broken& broken : kBroken) {
    SCOPED_TRACE(testing::Message() << broken.format << ": " << broken.text);
    const Reply reply = parse_every_cut(format_of(broken.format), broken.text);
    EXPECT_TRUE(reply.malformed);
    EXPECT_EQ(reply.calls.size(), broken.calls);
    EXPECT_FALSE(reply.content.empty());
    if (broken.calls == 0) {
      EXPECT_EQ(without_space(reply.content), without_space(broken.text));
    }
  }
}

TEST(ReplyStream, AnAnswerThatEndsInACallIsTruncated) {
  EXPECT_TRUE(parse(format_of("hermes"), "<tool_call>{\"name\": \"f\"").truncated);
  EXPECT_FALSE(parse(format_of("hermes"), "<tool_call>{\"name\": oops}</tool_call>").truncated);
  const Reply open = parse(format_of("hermes"), "<tool_call>{\"name\": \"f\", \"arguments\": {}}");
  EXPECT_FALSE(open.truncated);
  EXPECT_EQ(open.calls.size(), 1U);
}

TEST(ReplyStream, JsonThatIsNoCallIsContentWithoutAFlag) {
  for (const std::string_view text :
       {R"({"answer": 42})", R"({"name": "x", "parameters": 7})", R"({"name": "x")",
        R"({"name": "unknown", "parameters": {}})", "{", "{}"}) {
    const Reply reply = parse_every_cut(format_of("llama3"), text, {.tools = {{"known", nullptr}}});
    EXPECT_EQ(reply.content, text);
    EXPECT_FALSE(reply.malformed);
  }
  EXPECT_EQ(
      parse(format_of("llama3"), R"({"name": "known", "parameters": {}})", {.tools = {{"known", nullptr}}})
          .calls.size(),
      1U);
  EXPECT_TRUE(parse(format_of("llama3"), R"(Such as {"name": "known", "parameters": {}})").calls.empty());
}

TEST(ReplyStream, CallsAreContentWhereNoneAreWanted) {
  const std::string_view text = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
  const Reply reply = parse(format_of("hermes"), text, {.parse_calls = false});
  EXPECT_EQ(reply.content, text);
  EXPECT_FALSE(reply.malformed);
}

TEST(ReplyBudgets, Hold) {
  const auto call = [](std::string_view arguments) {
    return "<tool_call>{\"name\": \"f\", \"arguments\": " + std::string(arguments) + "}</tool_call>";
  };
  const auto nested = [](int depth) {
    return "{\"a\": " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_EQ(parse(format_of("hermes"), call(nested(32))).calls.size(), 1U);
  EXPECT_TRUE(parse(format_of("hermes"), call(nested(33))).malformed);
  EXPECT_TRUE(parse(format_of("lfm2"), "<|tool_call_start|>[f(a=" + std::string(100'000, '[')).malformed);
  EXPECT_TRUE(parse(format_of("gemma4"), "<|tool_call>call:f{" + std::string(100'000, '{')).malformed);

  std::string many;
  for (int i = 0; i < 10; ++i) many += call("{}");
  const Reply four = parse_every_cut(format_of("hermes"), many, {.limits = {.calls = 4}});
  EXPECT_EQ(four.calls.size(), 4U);
  EXPECT_TRUE(four.malformed);

  const std::string large = call("{\"a\": \"" + std::string(100, 'x') + "\"}");
  EXPECT_TRUE(parse_every_cut(format_of("hermes"), large, {.limits = {.call_bytes = 100}}).malformed);
  EXPECT_FALSE(parse_every_cut(format_of("hermes"), large, {.limits = {.call_bytes = 200}}).malformed);
  EXPECT_TRUE(parse(format_of("glm"), "<tool_call>" + std::string(1000, 'f') + "</tool_call>").malformed);
}

// Every format survives what is nearly its own text: pieces of its patterns in random order.
TEST(ReplyBudgets, RandomPiecesOfMarkersNeverLoseText) {
  for (const CallFormat& calls : call_formats()) {
    RandomCalls random(7);
    std::vector<std::string> parts = {"{",    "}", "\"name\"", ": ", "\"f\"", ", ", "\"arguments\"",
                                      "text", "f", "(",        ")",  "a",     "=",  "1",
                                      "[",    "]", "\n",       "'"};
    for (const CallLayout& layout : calls.layouts) {
      for (const std::string_view pattern : {layout.open, layout.call, layout.close, layout.parameter}) {
        for (const Step& step : steps(pattern)) {
          if (step.hole == Hole::none) parts.emplace_back(step.text);
        }
      }
    }
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (std::size_t n = 1 + random.below(25); n > 0; --n) text += parts[random.below(parts.size())];
      SCOPED_TRACE(testing::Message() << calls.name << ": " << text);
      const Reply reply = parse_every_cut(format_of(calls.name), text);
      if (reply.calls.empty()) {
        EXPECT_EQ(without_space(reply.content), without_space(text));
      }
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace medlar::reply
