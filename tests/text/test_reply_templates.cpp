// Models' own chat templates as judges: the format is told from each, and the calls that it writes are read.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/cases.h"
#include "tests/text/reply_support.h"
#include "text/chat_template.h"
#include "text/reply/detect.h"
#include "text/reply/tools_as_text.h"

namespace medlar::reply {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

const fs::path kTemplates = fs::path(MEDLAR_SHARED_DATA) / "chat-templates";

// What a template can do with the calls of an earlier turn.
enum class History {
  calls,     // write several
  one_call,  // write one at a time
  text,      // write one, its arguments given as text
  untold,    // write several where it is not given the tools, which it cannot write
  none       // nothing
};

struct Expectation {
  std::string_view calls, reasoning;
  History history = History::calls;
};

const std::map<std::string_view, Expectation>& expectations() {
  static const std::map<std::string_view, Expectation> kTable = {
      {"Apertus-8B-Instruct", {"apertus", "apertus"}},
      {"Bielik-11B-v3.0-Instruct", {"hermes", "think"}},
      {"Cohere2MoE", {"command", "command"}},
      {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", {"command", "command"}},
      {"GLM-4.7-Flash", {"glm", "think"}},
      {"GigaChat3-10B-A1.8B", {"gigachat", "gigachat", History::one_call}},
      {"HuggingFaceTB-SmolLM3-3B", {"generic", "think", History::none}},
      {"Kimi-K2-Thinking", {"kimi", "think", History::none}},  // appends to a list, which the sandbox refuses
      {"LFM2.5-Instruct", {"lfm2", "think", History::none}},
      {"MiroThinker", {"mcp", "think", History::none}},  // assigns to messages, which Jinja does not allow
      {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", {"qwen-coder", "think"}},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", {"hermes", "none"}},
      {"Qwen-Qwen2.5-7B-Instruct", {"hermes", "none"}},
      {"Qwen3-Coder", {"qwen-coder", "none"}},
      {"Reka-Edge", {"hermes", "think"}},
      {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", {"deepseek-v3", "think", History::text}},
      {"deepseek-ai-DeepSeek-V3.1", {"deepseek-v3.1", "think"}},
      {"deepseek-ai-DeepSeek-V4", {"deepseek-v4", "think"}},
      {"google-gemma-2-2b-it", {"generic", "none", History::none}},
      {"google-gemma-4-31B-it", {"gemma4", "gemma4"}},
      {"llama-cpp-deepseek-r1", {"deepseek-v3", "think", History::untold}},
      {"meetkai-functionary-medium-v3.1", {"functionary-v3.1", "none"}},
      {"meta-llama-Llama-3.1-8B-Instruct", {"llama3", "none", History::one_call}},
      {"meta-llama-Llama-3.3-70B-Instruct", {"llama3", "none", History::one_call}},
      {"mistralai-Ministral-3-14B-Reasoning-2512", {"mistral-args", "mistral"}},
      {"moonshotai-Kimi-K2", {"kimi", "none"}},
      {"stepfun-ai-Step-3.5-Flash", {"qwen-coder", "think"}},
      {"unsloth-mistral-Devstral-Small-2507", {"mistral-args", "none"}},
  };
  return kTable;
}

class ReplyTemplates : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kTemplates)) GTEST_SKIP() << kTemplates << " is absent";
  }

  static std::string source(std::string_view name) {
    return text::read_file((kTemplates / (std::string(name) + ".jinja")).string());
  }
};

TEST_F(ReplyTemplates, SayWhichFormatTheirModelsWrite) {
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(kTemplates)) {
    const std::string name = entry.path().stem().string();
    SCOPED_TRACE(name);
    const auto expected = expectations().find(name);
    ASSERT_NE(expected, expectations().end());
    const ReplyFormat format = detect(source(name));
    EXPECT_EQ(format.calls->name, expected->second.calls);
    EXPECT_EQ(format.reasoning->name, expected->second.reasoning);
    seen.insert(name);
  }
  EXPECT_EQ(seen.size(), expectations().size());
}

TEST_F(ReplyTemplates, SayWhetherTheyWriteTools) {
  EXPECT_FALSE(detect(source("google-gemma-2-2b-it")).template_has_tools);
  EXPECT_FALSE(detect(source("HuggingFaceTB-SmolLM3-3B")).template_has_tools);
  EXPECT_TRUE(detect(source("LFM2.5-Instruct")).template_has_tools);
  EXPECT_TRUE(detect(source("Qwen3-Coder")).template_has_tools);
}

TEST(ReplyDetect, FallsBackToTheVocabulary) {
  const std::vector<std::string> harmony = {"<|start|>", "<|channel|>", "<|message|>"};
  EXPECT_EQ(detect("{{ messages }}", harmony).calls->name, "harmony");
  EXPECT_EQ(detect("{{ messages }}", harmony).reasoning->name, "harmony");
  EXPECT_EQ(detect("{{ messages }}<tool_call>", harmony).calls->name, "hermes");
  EXPECT_EQ(detect("{{ messages }}").calls->name, "generic");
}

TEST(ReplyDetect, KnowsFormatsByTheirSigns) {
  const std::map<std::string_view, std::string_view> kSigns = {
      {"<|tool_call|>[{\"name\"", "granite"},
      {"<|tool_call|>x<|/tool_call|>", "phi4"},
      {"<TOOLCALL>[", "nemotron"},
      {"<seed:tool_call>", "seed"},
      {"<minimax:tool_call>", "minimax"},
      {"<start_function_call>", "functiongemma"},
      {">>>all\n", "functionary-v3.2"},
      {"<function_calls>", "olmo3"},
      {"<tool_calls>", "hunyuan"},
      {"[TOOL_CALLS]", "mistral"},
      {"<｜DSML｜function_calls>", "deepseek-v3.2"},
      {"<|channel|>analysis<|message|>", "harmony"},
      {"<|tool_call_start|>", "lfm2"},
      {"<|python_start|>", "llama4"},
  };
  for (const auto& [source, format] : kSigns) EXPECT_EQ(detect(source).calls->name, format) << source;
  EXPECT_EQ(detect("<seed:think>").reasoning->name, "seed");
  EXPECT_EQ(detect("<think></think><response>").reasoning->name, "think-response");
  EXPECT_EQ(detect("Here is my thought process:").reasoning->name, "granite");
}

json::array tools_json(const std::vector<Tool>& tools) {
  json::array list;
  for (const Tool& tool : tools) {
    list.push_back(
        {{"type", "function"},
         {"function", {{"name", tool.name}, {"description", "Does."}, {"parameters", tool.parameters}}}});
  }
  return list;
}

// The text between the prompt and the end of an assistant's message with these calls.
std::string answer(const text::ChatTemplate& chat, const std::vector<Call>& calls,
                   const ReplyOptions& options, History history) {
  json::array written;
  for (const Call& call : calls) {
    const json::value arguments =
        history == History::text ? json::value(call.arguments) : json::parse(call.arguments);
    written.push_back({{"id", call.id},
                       {"type", "function"},
                       {"function", {{"name", call.name}, {"arguments", arguments}}}});
  }
  text::ChatRequest request{.messages = {{{"role", "user"}, {"content", "Please."}}},
                            .tools = tools_json(options.tools)};
  if (history == History::untold) request.tools.clear();
  const std::string prompt = chat.render(request);
  json::object message{{"role", "assistant"}, {"reasoning_content", "Hm."}, {"tool_calls", written}};
  message["content"] = history == History::text ? json::value(nullptr) : json::value("");
  request.messages.push_back(message);
  request.add_generation_prompt = false;
  const std::string whole = chat.render(request);
  const auto [end, same] = std::mismatch(prompt.begin(), prompt.end(), whole.begin(), whole.end());
  auto begin = static_cast<std::size_t>(end - prompt.begin());
  // The prompt may differ within a tag, as <think> from </think>.
  const std::size_t tag = whole.rfind('<', begin);
  if (tag != whole.npos && whole.find('>', tag) >= begin && begin < prompt.size()) begin = tag;
  return whole.substr(begin);
}

// What the template does to arguments when it writes them; values are compared after it.
json::value as_written(std::string_view format, const json::value& value) {
  if (format != "gemma4") return value;
  const json::object* object = value.if_object();
  if (object == nullptr) return value;
  json::object sorted;
  std::vector<std::string> keys;
  for (const auto& [key, item] : *object) keys.emplace_back(key);
  std::sort(keys.begin(), keys.end());
  for (const std::string& key : keys) sorted[key] = as_written(format, object->at(key));
  return sorted;
}

// Gemma's template writes keys as they are, and some read otherwise.
bool has_plain_keys(const json::value& value) {
  if (const json::array* array = value.if_array())
    return std::all_of(array->begin(), array->end(), has_plain_keys);
  const json::object* object = value.if_object();
  if (object == nullptr) return true;
  return std::all_of(object->begin(), object->end(), [](const auto& member) {
    const std::string_view key = member.key();
    return std::all_of(key.begin(), key.end(), is_name) && has_plain_keys(member.value());
  });
}

TEST_F(ReplyTemplates, CallsThatTheyWriteAreReadAgain) {
  for (const auto& [name, expected] : expectations()) {
    if (expected.history == History::none) continue;
    const std::string template_source = source(name);
    const text::ChatTemplate chat(template_source, {.bos = "<s>", .eos = "</s>"});
    const ReplyFormat format = detect(template_source);
    RandomCalls random(11);
    for (int round = 0; round < 40; ++round) {
      ReplyOptions options;
      std::vector<Call> calls;
      const std::size_t count =
          expected.history == History::calls || expected.history == History::untold ? 1 + random.below(3) : 1;
      for (std::size_t i = 0; i < count; ++i) {
        json::object arguments = random.arguments();
        while (format.calls->name == "gemma4" && !has_plain_keys(arguments)) arguments = random.arguments();
        const std::string function = random.identifier() + std::to_string(i);
        calls.push_back(
            {"functions." + function + ":" + std::to_string(i), function, json::serialize(arguments), i});
        options.tools.push_back(tool_for(function, arguments));
      }
      try {
        render(*format.calls, calls);
      } catch (const Error&) {
        continue;  // such as a string with the marker that would end it
      }
      const std::string text = answer(chat, calls, options, expected.history);
      SCOPED_TRACE(testing::Message() << name << ": " << text);
      const Reply reply = parse(format, text, options);
      EXPECT_FALSE(reply.malformed);
      ASSERT_EQ(reply.calls.size(), calls.size());
      for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(reply.calls[i].name, calls[i].name);
        EXPECT_EQ(json::parse(reply.calls[i].arguments),
                  as_written(format.calls->name, json::parse(calls[i].arguments)));
        if (format.calls->name == "kimi") {
          EXPECT_EQ(reply.calls[i].id, calls[i].id);
        }
      }
      if (HasFailure()) return;
    }
  }
}

TEST_F(ReplyTemplates, ReasoningThatTheyOpenIsReasoning) {
  const std::map<std::string_view, std::string_view> kThinking = {
      {"GLM-4.7-Flash", "<think>"},
      {"stepfun-ai-Step-3.5-Flash", "<think>"},
      {"NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "<think>"},
      {"deepseek-ai-DeepSeek-V3.1", "<think>"},
      {"deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "<think>"},
      {"Reka-Edge", "<think>"},
      {"Qwen-Qwen2.5-7B-Instruct", ""},
      {"HuggingFaceTB-SmolLM3-3B", ""},
      {"mistralai-Ministral-3-14B-Reasoning-2512", ""},
  };
  for (const auto& [name, opened] : kThinking) {
    const std::string template_source = source(name);
    const ReplyFormat format = detect(template_source);
    const std::string prompt = text::ChatTemplate(template_source)
                                   .render({.messages = {{{"role", "user"}, {"content", "Hello"}}},
                                            .variables = {{"enable_thinking", true}}});
    EXPECT_EQ(opened_by(format, prompt), opened) << name << prompt;
  }
}

// A conversation with two calls, their results, and a further question.
json::array conversation_with_calls() {
  return json::parse(R"([
      {"role": "user", "content": "Weather?"},
      {"role": "assistant", "content": "Let me see.", "tool_calls": [
          {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{\"city\": \"Paris\"}"}},
          {"id": "2", "type": "function", "function": {"name": "now", "arguments": {}}}]},
      {"role": "tool", "tool_call_id": "1", "content": "Rain."},
      {"role": "tool", "tool_call_id": "2", "content": "Noon."},
      {"role": "user", "content": "And tomorrow?"}])")
      .as_array();
}

TEST_F(ReplyTemplates, ToolsAreToldInWordsWhereATemplateKnowsNone) {
  for (const std::string_view name :
       {"google-gemma-2-2b-it", "HuggingFaceTB-SmolLM3-3B", "LFM2.5-Instruct"}) {
    SCOPED_TRACE(name);
    const std::string template_source = source(name);
    const ReplyFormat format = detect(template_source);
    const json::array tools = tools_json({{"look", {{"type", "object"}}}, {"now", nullptr}});
    const std::string text =
        text::ChatTemplate(template_source)
            .render({.messages = tools_as_text(format, conversation_with_calls(), tools), .tools = tools});
    EXPECT_NE(text.find("\"look\""), text.npos);
    EXPECT_NE(text.find("Rain."), text.npos);
    const std::size_t asked = text.find("Let me see.");
    const std::size_t answered = text.find("Rain.");
    ASSERT_LT(asked, answered);
    const Reply reply = parse(format, text.substr(asked, answered - asked));
    EXPECT_EQ(reply.calls,
              (std::vector<Call>{{"", "look", "{\"city\": \"Paris\"}", 0}, {"", "now", "{}", 1}}));
    EXPECT_FALSE(reply.malformed);
  }
}

TEST(ReplyToolsAsText, LeavesAloneWhatTheTemplateWrites) {
  ReplyFormat format = format_of("hermes");
  format.template_has_tools = format.template_has_calls = true;
  EXPECT_EQ(tools_as_text(format, conversation_with_calls(), {}), conversation_with_calls());
}

TEST(ReplyToolsAsText, DescribesToolsInTheSystemMessageOrBeforeTheFirstQuestion) {
  const json::array tools = tools_json({{"now", nullptr}});
  const auto first = [&](const json::array& messages) {
    return std::string(tools_as_text(format_of("generic"), messages, tools).at(0).at("content").as_string());
  };
  EXPECT_TRUE(
      first({{{"role", "system"}, {"content", "Be brief."}}}).starts_with("Be brief.\n\nYou can call"));
  EXPECT_TRUE(first({{{"role", "user"}, {"content", "Time?"}}}).ends_with("\n\nTime?"));
  EXPECT_TRUE(first({{{"role", "assistant"}, {"content", "Hello."}}}).starts_with("You can call"));
}

TEST(ReplyToolsAsText, RefusesCallsThatAreNone) {
  const auto refuses = [](const char* messages) {
    try {
      tools_as_text(format_of("generic"), json::parse(messages).as_array(), {});
      return false;
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage;
    }
  };
  EXPECT_TRUE(refuses(R"(["text"])"));
  EXPECT_TRUE(refuses(R"([{"role": "assistant", "tool_calls": ["text"]}])"));
  EXPECT_TRUE(refuses(R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])"));
  EXPECT_TRUE(
      refuses(R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "no"}}]}])"));
}

}  // namespace
}  // namespace medlar::reply
