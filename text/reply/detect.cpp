// The signs by which formats are known, in the order in which they are looked for.
#include "text/reply/detect.h"

#include <algorithm>
#include <array>

namespace medlar::reply {
namespace {

using std::string_view;

// A format is the first one all of whose signs are there.
struct Rule {
  string_view format;
  std::array<string_view, 3> signs;
};

constexpr Rule kCallRules[] = {
    {"kimi", {"<|tool_calls_section_begin|>"}},
    {"mistral-args", {"[TOOL_CALLS]", "[ARGS]"}},
    {"mistral", {"[TOOL_CALLS]"}},
    {"deepseek-v3.2", {"｜DSML｜", "function_calls>"}},
    {"deepseek-v4", {"｜DSML｜", "tool_calls>"}},
    {"deepseek-v3", {"<｜tool▁calls▁begin｜>", "```json"}},
    {"deepseek-v3.1", {"<｜tool▁calls▁begin｜>"}},
    {"harmony", {"<|channel|>", "<|message|>"}},
    {"gemma4", {"<|tool_call>call:"}},
    {"functiongemma", {"<start_function_call>"}},
    {"command", {"<|START_ACTION|>"}},
    {"apertus", {"<|tools_prefix|>"}},
    {"gigachat", {"<|role_sep|>", "function call"}},
    {"lfm2", {"<|tool_call_start|>"}},
    {"lfm2", {"List of tools: ["}},
    {"seed", {"<seed:tool_call>"}},
    {"minimax", {"<minimax:tool_call>"}},
    {"mcp", {"<use_mcp_tool>"}},
    {"glm", {"<tool_call>", "<arg_key>"}},
    {"qwen-coder", {"<tool_call>", "<function=", "<parameter="}},
    {"phi4", {"<|tool_call|>", "<|/tool_call|>"}},
    {"granite", {"<|tool_call|>"}},
    {"nemotron", {"<TOOLCALL>"}},
    {"hunyuan", {"<tool_calls>"}},
    {"olmo3", {"<function_calls>"}},
    {"hermes", {"<tool_call>"}},
    {"functionary-v3.1", {"<function="}},
    {"functionary-v3.2", {">>>all"}},
    {"llama4", {"<|python_start|>"}},
    {"llama4", {"<|start_header_id|>", "[func_name1("}},
    {"llama3", {"<|start_header_id|>", R"("parameters": )", "ipython"}},
};

constexpr Rule kReasoningRules[] = {
    {"harmony", {"<|channel|>", "<|message|>"}},
    {"mistral", {"[THINK]"}},
    {"command", {"<|START_THINKING|>"}},
    {"command", {"<|START_RESPONSE|>"}},
    {"gemma4", {"<|channel>thought"}},
    {"seed", {"<seed:think>"}},
    {"apertus", {"<|inner_prefix|>"}},
    {"granite", {"Here is my thought process:"}},
    {"think-response", {"<think>", "<response>"}},
    {"think-answer", {"<think>", "<answer>"}},
    {"think", {"<think>"}},
    {"think", {"</think>"}},
    {"thought", {"<thought>"}},
    {"functionary", {">>>all"}},
    {"gigachat", {"<|message_sep|>"}},
};

// `fallback` where no rule applies.
template <class Present>
string_view first(std::span<const Rule> rules, string_view fallback, Present present) {
  const auto applies = [&](const Rule& rule) {
    return std::all_of(rule.signs.begin(), rule.signs.end(), present);
  };
  const auto rule = std::find_if(rules.begin(), rules.end(), applies);
  return rule == rules.end() ? fallback : rule->format;
}

}  // namespace

ReplyFormat detect(string_view source, std::span<const std::string> special_tokens) {
  const auto in_template = [&](string_view sign) { return source.find(sign) != string_view::npos; };
  const auto in_vocabulary = [&](string_view sign) {
    return sign.empty() ||
           std::find(special_tokens.begin(), special_tokens.end(), sign) != special_tokens.end();
  };
  const auto choose = [&](std::span<const Rule> rules, string_view fallback) {
    return first(rules, first(rules, fallback, in_vocabulary), in_template);
  };
  return {.calls = &call_format(choose(kCallRules, "generic")),
          .reasoning = &reasoning_format(choose(kReasoningRules, "none")),
          .special_tokens = {special_tokens.begin(), special_tokens.end()},
          .template_has_tools = in_template("tools"),
          .template_has_calls = in_template("tool_calls")};
}

}  // namespace medlar::reply
