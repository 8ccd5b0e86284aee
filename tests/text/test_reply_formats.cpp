// Every format reads the text that its models write, however it is cut, and writes calls that it reads.
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/reply_support.h"

namespace medlar::reply {
namespace {

struct Example {
  std::string_view format;
  std::string_view text;
  std::vector<Call> calls;
  std::string_view content = "";
  bool canonical = true;  // what render() writes, but for the content
};

constexpr std::string_view kParis = R"({"city": "Paris"})";

std::vector<Call> weather(std::string id = {}, std::string arguments = std::string(kParis)) {
  return {{std::move(id), "get_weather", std::move(arguments), 0}};
}

std::vector<Call> two(std::string id0 = {}, std::string id1 = {}) {
  return {{std::move(id0), "get_weather", std::string(kParis), 0}, {std::move(id1), "now", "{}", 1}};
}

const std::vector<Example> kExamples = {
    {"hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
     weather()},
    {"hermes",
     "Let me look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n"
     "</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>",
     two(), "Let me look.", false},
    {"hermes", "<tool_call>{\"arguments\": {\"city\": \"Paris\"}, \"name\": \"get_weather\"}", weather(), "",
     false},
    {"hermes", "<tool_call>{\"name\": \"get_weather\", \"arguments\": \"{\\\"city\\\": \\\"Paris\\\"}\"}",
     weather(), "", false},
    {"hermes",
     "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\":\n\"a\nb\" }}</tool_call> done.",
     weather({}, "{\"city\":\n\"a\\nb\" }"), "done.", false},
    {"qwen-coder",
     "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</"
     "tool_call>",
     weather()},
    {"qwen-coder", "I see.\n<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>",
     weather(), "I see.", false},
    {"seed",
     "<seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>\n"
     "</seed:tool_call>",
     weather()},
    {"minimax",
     "<minimax:tool_call>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Paris</parameter>\n"
     "</invoke>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>",
     two()},
    {"glm",
     "<tool_call>get_weather<arg_key>city</arg_key><arg_value>Paris</arg_value></tool_call>"
     "<tool_call>now</tool_call>",
     two()},
    {"glm", "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
     weather(), "", false},
    {"deepseek-v4",
     "<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
     "<｜DSML｜parameter name=\"city\" string=\"true\">Paris</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
     "<｜DSML｜invoke name=\"now\">\n</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
     two()},
    {"deepseek-v3.2",
     "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
     "<｜DSML｜parameter name=\"n\" string=\"false\">[1, {\"a\": null}]</｜DSML｜parameter>\n"
     "<｜DSML｜parameter name=\"s\" string=\"true\">1</｜DSML｜parameter>\n</｜DSML｜invoke>\n"
     "</｜DSML｜function_calls>",
     weather({}, R"({"n": [1, {"a": null}], "s": "1"})")},
    {"deepseek-v3.1",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Paris\"}"
     "<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     two()},
    {"deepseek-v3",
     "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
     "{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n"
     "```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
     two()},
    {"llama3", R"({"name": "get_weather", "parameters": {"city": "Paris"}})", weather()},
    {"llama3",
     "\n {\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}",
     weather(), "", false},
    {"llama3", R"(<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}})", weather(), "",
     false},
    {"llama3", R"(<|python_tag|>get_weather.call(city="Paris"))", weather(), "", false},
    {"llama3",
     "<|python_tag|>print(\"x\")\nf()",
     {{"", "python", R"-({"code": "print(\"x\")\nf()"})-", 0}},
     "",
     false},
    {"llama3", R"({"name": "Anna", "age": 3})", {}, R"({"name": "Anna", "age": 3})", false},
    {"llama4", R"([get_weather(city="Paris"), now()])", two()},
    {"llama4", "<|python_start|>[get_weather(city='Paris')]<|python_end|>", weather(), "", false},
    {"mistral",
     R"([TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}])",
     two()},
    {"mistral",
     R"([TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdefghi"}])",
     weather("abcdefghi"), "", false},
    {"mistral-args", R"(Well.[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]now[ARGS]{})", two(),
     "Well.", false},
    {"mistral-args", R"([TOOL_CALLS]get_weather[CALL_ID]abc[ARGS]{"city": "Paris"})", weather(), "", false},
    {"mistral-args", R"([TOOL_CALLS]get_weather{"city": "Paris"})", weather(), "", false},
    {"harmony",
     R"(<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>)",
     weather()},
    {"harmony", R"(<|channel|>commentary to=functions.get_weather<|message|>{"city": "Paris"})", weather(),
     "", false},
    {"harmony",
     R"(<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"})",
     weather(), "", false},
    {"kimi",
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
     "{\"city\": "
     "\"Paris\"}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}"
     "<|tool_call_end|><|tool_calls_section_end|>",
     two("functions.get_weather:0", "functions.now:1")},
    {"command",
     "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_weather\", \"parameters\": "
     "{\"city\": \"Paris\"}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": {}}\n]"
     "<|END_ACTION|>",
     two("0", "1")},
    {"gemma4", "<|tool_call>call:get_weather{city:<|\"|>Paris<|\"|>}<tool_call|>", weather()},
    {"gemma4",
     "<|tool_call>call:f{a:{b:[1,true,<|\"|>x\"y<|\"|>]},c:None}<tool_call|>",
     {{"", "f", R"({"a": {"b": [1, true, "x\"y"]}, "c": null})", 0}},
     "",
     false},
    {"functiongemma", "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>",
     weather()},
    {"granite",
     R"(<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}])",
     two()},
    {"phi4", R"(<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]<|/tool_call|>)",
     weather()},
    {"nemotron", R"(<TOOLCALL>[{"name": "get_weather", "arguments": {"city": "Paris"}}]</TOOLCALL>)",
     weather()},
    {"hunyuan",
     "<tool_calls>\n[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]\n</tool_calls>",
     weather()},
    {"lfm2", R"(<|tool_call_start|>[get_weather(city="Paris"), now()]<|tool_call_end|>)", two()},
    {"lfm2", "<|tool_call_start|>[get_weather(city='Paris')]<|tool_call_end|>Checking.", weather(),
     "Checking.", false},
    {"olmo3", "<function_calls>\nget_weather(city=\"Paris\")\nnow()\n</function_calls>", two()},
    {"functionary-v3.1", R"(<function=get_weather>{"city": "Paris"}</function><function=now>{}</function>)",
     two()},
    {"functionary-v3.2", ">>>get_weather\n{\"city\": \"Paris\"}>>>now\n{}", two()},
    {"apertus", R"(<|tools_prefix|>[{"get_weather": {"city": "Paris"}}, {"now": {}}]<|tools_suffix|>)",
     two()},
    {"gigachat",
     "function call<|role_sep|>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}",
     weather()},
    {"mcp",
     "<use_mcp_tool>\n<server_name>default</server_name>\n<tool_name>get_weather</tool_name>\n<arguments>\n"
     "{\"city\": \"Paris\"}\n</arguments>\n</use_mcp_tool>",
     weather()},
    {"generic", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", {{"", "now", "{}", 0}}},
    {"generic", R"({"name": "now", "arguments": {}})", {{"", "now", "{}", 0}}, "", false},
};

TEST(ReplyFormats, ReadsWhatModelsWriteHoweverItIsCut) {
  for (const Example& example : kExamples) {
    SCOPED_TRACE(testing::Message() << example.format << ": " << example.text);
    const Reply reply = parse_every_cut(format_of(example.format), example.text);
    EXPECT_EQ(reply.calls, example.calls);
    EXPECT_EQ(reply.content, example.content);
    EXPECT_FALSE(reply.malformed);
  }
}

TEST(ReplyFormats, WritesTheCanonicalText) {
  for (const Example& example : kExamples) {
    if (!example.canonical) continue;
    SCOPED_TRACE(example.format);
    EXPECT_EQ(render(call_format(example.format), example.calls), example.text);
  }
}

TEST(ReplyFormats, EachHasACanonicalExample) {
  for (const CallFormat& format : call_formats()) {
    if (format.name == "mistral-args") continue;  // its example has content
    EXPECT_TRUE(std::any_of(kExamples.begin(), kExamples.end(), [&](const Example& example) {
      return example.canonical && example.format == format.name;
    })) << format.name;
  }
}

// Random calls of a format, and the options that say their types.
struct Conversation {
  std::vector<Call> calls;
  ReplyOptions options;
};

Conversation random_conversation(RandomCalls& random, const CallFormat& format) {
  Conversation result;
  const std::size_t count = format.parallel ? 1 + random.below(3) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    const boost::json::object arguments = random.arguments();
    const std::string name = random.identifier() + std::to_string(i);
    result.options.tools.push_back(tool_for(name, arguments));
    std::string id = format.name == "kimi"      ? "functions." + name + ":" + std::to_string(i + 3)
                     : format.name == "command" ? std::to_string(i + 3)
                                                : std::string();
    result.calls.push_back({std::move(id), name, dumps(arguments), i});
  }
  return result;
}

TEST(ReplyFormats, ReadsTheRandomCallsItWrites) {
  for (const CallFormat& format : call_formats()) {
    RandomCalls random(20);
    int written = 0;
    for (int round = 0; round < 300; ++round) {
      const Conversation conversation = random_conversation(random, format);
      std::string text;
      try {
        text = render(format, conversation.calls);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::unsupported);
        continue;
      }
      ++written;
      SCOPED_TRACE(testing::Message() << format.name << ": " << text);
      const Reply reply = parse(format_of(format.name), text, conversation.options);
      EXPECT_EQ(reply.calls, conversation.calls);
      EXPECT_EQ(reply.content, "");
      EXPECT_FALSE(reply.malformed);
      EXPECT_EQ(render(format, reply.calls), text);
      if (round < 10) expect_same(parse_every_cut(format_of(format.name), text, conversation.options), reply);
      if (HasFailure()) return;
    }
    EXPECT_GT(written, 250) << format.name;
  }
}

TEST(ReplyFormats, KeepsTheSampledBytesOfJsonArguments) {
  const std::string arguments =
      "{ \"b\":1.50,\n\t\"a\" : [ ],\"\\u00e9\":\"\\/\", \"n\": 123456789012345678901234567890 }";
  for (const CallFormat& format : call_formats()) {
    const std::string_view call = format.layouts.front().call;
    if (call.find("$json") == call.npos && call.find("$object") == call.npos) continue;
    const std::vector<Call> calls = {{"", "f", arguments, 0}};
    const Reply reply = parse(format_of(format.name), render(format, calls));
    ASSERT_EQ(reply.calls.size(), 1U) << format.name;
    EXPECT_EQ(reply.calls[0].arguments, arguments) << format.name;
  }
}

TEST(ReplyFormats, LongStringsComeThrough) {
  const std::string text = std::string(200'000, 'x') + "\n" + std::string(1000, '"');
  for (const CallFormat& format : call_formats()) {
    const boost::json::object arguments = {{"s", text}};
    const std::vector<Call> calls = {{format.name == "kimi"      ? "functions.f:0"
                                      : format.name == "command" ? "0"
                                                                 : "",
                                      "f", dumps(arguments), 0}};
    EXPECT_EQ(
        parse(format_of(format.name), render(format, calls), {.tools = {tool_for("f", arguments)}}).calls,
        calls)
        << format.name;
  }
}

TEST(ReplyFormats, RefusesToWriteWhatItCouldNotRead) {
  const auto refuses = [](std::string_view format, std::string_view name, std::string_view arguments) {
    const std::vector<Call> calls = {{"", std::string(name), std::string(arguments), 0}};
    try {
      render(call_format(format), calls);
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::usage;
    }
  };
  EXPECT_TRUE(refuses("qwen-coder", "f", R"({"s": "a</parameter>b"})"));
  EXPECT_TRUE(refuses("gemma4", "f", R"({"s": "a<|\"|>b"})"));
  EXPECT_TRUE(refuses("glm", "f<", "{}"));
  EXPECT_TRUE(refuses("hermes", "f", "[]"));
  EXPECT_TRUE(refuses("hermes", "f", "{"));
  EXPECT_FALSE(refuses("hermes", "a name\"", R"({"s": "</tool_call>"})"));
}

}  // namespace
}  // namespace medlar::reply
