// The table of formats. Sources: the models' own chat templates and model cards.
#include "base/error.h"
#include "text/reply/format.h"

namespace medlar::reply {
namespace {

using std::string_view;

constexpr CallLayout kTaggedObject = {.call = "<tool_call>\n$object\n</tool_call>", .between = "\n"};
constexpr string_view kEqualsParameter = "<parameter=$key>\n$value\n</parameter>\n";
constexpr string_view kLlamaObject = R"({"name": "$name", "parameters": $json})";

constexpr CallLayout kHermes[] = {kTaggedObject};

// A template that knows no tools: the tagged object is described to the model, and a bare one is understood.
constexpr CallLayout kGeneric[] = {kTaggedObject, {.call = "$object", .between = "\n", .at_start = true}};

constexpr CallLayout kQwenCoder[] = {
    {.call = "<tool_call>\n<function=$name>\n$parameters</function>\n</tool_call>",
     .between = "\n",
     .parameter = kEqualsParameter},
    {.call = "<function=$name>\n$parameters</function>\n</tool_call>", .parameter = kEqualsParameter},
};

constexpr CallLayout kSeed[] = {
    {.call = "<seed:tool_call>\n<function=$name>\n$parameters</function>\n</seed:tool_call>",
     .between = "\n",
     .parameter = "<parameter=$key>$value</parameter>\n"},
};

constexpr CallLayout kMiniMax[] = {
    {.open = "<minimax:tool_call>\n",
     .call = "<invoke name=\"$name\">\n$parameters</invoke>",
     .between = "\n",
     .close = "\n</minimax:tool_call>",
     .parameter = "<parameter name=\"$key\">$value</parameter>\n"},
};

constexpr CallLayout kGlm[] = {
    {.call = "<tool_call>$name$parameters</tool_call>",
     .parameter = "<arg_key>$key</arg_key><arg_value>$value</arg_value>"},
};

constexpr string_view kDsmlParameter =
    "<｜DSML｜parameter name=\"$key\" string=\"$text\">$value</｜DSML｜parameter>\n";

constexpr CallLayout kDeepSeek4[] = {
    {.open = "<｜DSML｜tool_calls>\n",
     .call = "<｜DSML｜invoke name=\"$name\">\n$parameters</｜DSML｜invoke>\n",
     .close = "</｜DSML｜tool_calls>",
     .parameter = kDsmlParameter},
};

constexpr CallLayout kDeepSeek32[] = {
    {.open = "<｜DSML｜function_calls>\n",
     .call = "<｜DSML｜invoke name=\"$name\">\n$parameters</｜DSML｜invoke>\n",
     .close = "</｜DSML｜function_calls>",
     .parameter = kDsmlParameter},
};

constexpr CallLayout kDeepSeek31[] = {
    {.open = "<｜tool▁calls▁begin｜>",
     .call = "<｜tool▁call▁begin｜>$name<｜tool▁sep｜>$json<｜tool▁call▁end｜>",
     .close = "<｜tool▁calls▁end｜>"},
};

constexpr CallLayout kDeepSeek3[] = {
    {.open = "<｜tool▁calls▁begin｜>",
     .call = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>$name\n```json\n$json\n```<｜tool▁call▁end｜>",
     .between = "\n",
     .close = "<｜tool▁calls▁end｜>"},
};

constexpr CallLayout kLlama3[] = {
    {.call = "$object", .object = kLlamaObject, .at_start = true},
    {.call = "<|python_tag|>$object", .object = kLlamaObject},
    {.call = "<|python_tag|>$name.call($keywords)"},
    {.call = "<|python_tag|>$code"},
};

constexpr CallLayout kLlama4[] = {
    {.open = "[", .call = "$name($keywords)", .between = ", ", .close = "]", .at_start = true},
    {.call = "$object", .object = kLlamaObject, .at_start = true},
    {.open = "<|python_start|>[", .call = "$name($keywords)", .between = ", ", .close = "]<|python_end|>"},
};

constexpr CallLayout kMistral[] = {
    {.open = "[TOOL_CALLS][", .call = "$object", .between = ", ", .close = "]"},
    {.open = "[TOOL_CALLS]", .call = "$object"},
};

constexpr CallLayout kMistralArgs[] = {
    {.call = "[TOOL_CALLS]$name[ARGS]$json"},
    {.call = "[TOOL_CALLS]$name[CALL_ID]$any[ARGS]$json"},
    {.call = "[TOOL_CALLS]$name$json"},
    {.open = "[TOOL_CALLS][", .call = "$object", .between = ", ", .close = "]"},
};

constexpr CallLayout kHarmony[] = {
    {.call = "<|channel|>commentary to=functions.$name <|constrain|>json<|message|>$json<|call|>",
     .between = "<|start|>assistant"},
    {.call = "<|channel|>commentary to=functions.$name$any<|message|>$json<|call|>"},
    {.call = "<|channel|>analysis to=functions.$name$any<|message|>$json<|call|>"},
    {.call = "<|start|>assistant to=functions.$name$any<|message|>$json<|call|>", .ends_reasoning = true},
    {.call = "<|channel|>commentary to=$name$any<|message|>$json<|call|>"},
    {.call = "<|channel|>analysis to=$name$any<|message|>$json<|call|>"},
    {.call = "<|start|>assistant to=$name$any<|message|>$json<|call|>", .ends_reasoning = true},
};

constexpr CallLayout kKimi[] = {
    {.open = "<|tool_calls_section_begin|>",
     .call = "<|tool_call_begin|>functions.$name:$index<|tool_call_argument_begin|>$json<|tool_call_end|>",
     .close = "<|tool_calls_section_end|>",
     .ends_reasoning = true},
    {.open = "<|tool_calls_section_begin|>",
     .call = "<|tool_call_begin|>$name$any<|tool_call_argument_begin|>$json<|tool_call_end|>",
     .close = "<|tool_calls_section_end|>",
     .ends_reasoning = true},
};

constexpr CallLayout kCommand[] = {
    {.open = "<|START_ACTION|>[\n",
     .call = "    $object",
     .between = ",\n",
     .close = "\n]<|END_ACTION|>",
     .object = R"({"tool_call_id": "$id", "tool_name": "$name", "parameters": $json})",
     .ends_reasoning = true},
};

constexpr CallLayout kGemma4[] = {{.call = "<|tool_call>call:$name{$pairs}<tool_call|>", .quote = "<|\"|>"}};

constexpr CallLayout kFunctionGemma[] = {
    {.call = "<start_function_call>call:$name{$pairs}<end_function_call>", .quote = "<escape>"}};

constexpr CallLayout kGranite[] = {
    {.open = "<|tool_call|>[", .call = "$object", .between = ", ", .close = "]"},
    {.open = "<|tool_call|>", .call = "$object"},
    {.open = "<tool_call>[", .call = "$object", .between = ", ", .close = "]"},
};

constexpr CallLayout kPhi4[] = {
    {.open = "<|tool_call|>[", .call = "$object", .between = ", ", .close = "]<|/tool_call|>"},
};

constexpr CallLayout kNemotron[] = {
    {.open = "<TOOLCALL>[", .call = "$object", .between = ", ", .close = "]</TOOLCALL>"},
};

constexpr CallLayout kHunyuan[] = {
    {.open = "<tool_calls>\n[", .call = "$object", .between = ", ", .close = "]\n</tool_calls>"},
};

constexpr CallLayout kLfm2[] = {
    {.open = "<|tool_call_start|>[",
     .call = "$name($keywords)",
     .between = ", ",
     .close = "]<|tool_call_end|>"},
    {.open = "<|tool_call_start|>[", .call = "$object", .between = ", ", .close = "]<|tool_call_end|>"},
    {.open = "<|tool_call_start|>", .call = "$object", .close = "<|tool_call_end|>"},
};

constexpr CallLayout kOlmo3[] = {
    {.open = "<function_calls>\n",
     .call = "$name($keywords)",
     .between = "\n",
     .close = "\n</function_calls>"},
};

constexpr CallLayout kFunctionary31[] = {
    {.call = "<function=$name>$json</function>"},
    {.call = "<|python_tag|>$code"},
};

constexpr CallLayout kFunctionary32[] = {{.call = ">>>$name\n$json"}};

constexpr CallLayout kApertus[] = {
    {.open = "<|tools_prefix|>[",
     .call = "{\"$name\": $json}",
     .between = ", ",
     .close = "]<|tools_suffix|>",
     .ends_reasoning = true},
};

constexpr CallLayout kGigaChat[] = {{.call = "function call<|role_sep|>\n$object"}};

constexpr CallLayout kMcp[] = {
    {.open = "<use_mcp_tool>\n",
     .call = "<server_name>$any</server_name>\n<tool_name>$name</tool_name>\n"
             "<arguments>\n$json\n</arguments>",
     .between = "\n",
     .close = "\n</use_mcp_tool>"},
    kTaggedObject,
};

constexpr CallFormat kCallFormats[] = {
    {.name = "generic", .layouts = kGeneric},
    {.name = "hermes", .layouts = kHermes},
    {.name = "qwen-coder", .layouts = kQwenCoder},
    {.name = "seed", .layouts = kSeed},
    {.name = "minimax", .layouts = kMiniMax},
    {.name = "glm", .layouts = kGlm},
    {.name = "deepseek-v4", .layouts = kDeepSeek4},
    {.name = "deepseek-v3.2", .layouts = kDeepSeek32},
    {.name = "deepseek-v3.1", .layouts = kDeepSeek31},
    {.name = "deepseek-v3", .layouts = kDeepSeek3},
    {.name = "llama3", .layouts = kLlama3, .parallel = false},
    {.name = "llama4", .layouts = kLlama4},
    {.name = "mistral", .layouts = kMistral},
    {.name = "mistral-args", .layouts = kMistralArgs},
    {.name = "harmony", .layouts = kHarmony, .parallel = false},
    {.name = "kimi", .layouts = kKimi},
    {.name = "command", .layouts = kCommand},
    {.name = "gemma4", .layouts = kGemma4},
    {.name = "functiongemma", .layouts = kFunctionGemma},
    {.name = "granite", .layouts = kGranite},
    {.name = "phi4", .layouts = kPhi4},
    {.name = "nemotron", .layouts = kNemotron},
    {.name = "hunyuan", .layouts = kHunyuan},
    {.name = "lfm2", .layouts = kLfm2},
    {.name = "olmo3", .layouts = kOlmo3},
    {.name = "functionary-v3.1", .layouts = kFunctionary31},
    {.name = "functionary-v3.2", .layouts = kFunctionary32, .prompt_end = ">>>"},
    {.name = "apertus", .layouts = kApertus},
    {.name = "gigachat", .layouts = kGigaChat, .parallel = false},
    {.name = "mcp", .layouts = kMcp},
};

constexpr string_view kThinkClose[] = {"</think>"};
constexpr string_view kResponseTags[] = {"<response>", "</response>"};
constexpr string_view kAnswerTags[] = {"<answer>", "</answer>"};
constexpr string_view kHarmonyClose[] = {"<|end|>", "<|call|>", "<|return|>", "<|start|>assistant"};
constexpr string_view kHarmonyMarks[] = {
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|channel|>final <|constrain|>json<|message|>",
    "<|channel|>commentary<|message|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
};
constexpr string_view kMistralClose[] = {"[/THINK]"};
constexpr string_view kCommandClose[] = {"<|END_THINKING|>"};
constexpr string_view kCommandMarks[] = {"<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>",
                                         "<|END_TEXT|>"};
constexpr string_view kGemmaClose[] = {"<channel|>"};
constexpr string_view kSeedClose[] = {"</seed:think>"};
constexpr string_view kApertusClose[] = {"<|inner_suffix|>"};
constexpr string_view kGraniteClose[] = {"Here is my response:"};
constexpr string_view kThoughtClose[] = {"</thought>"};
constexpr string_view kAllMarks[] = {">>>all\n"};
constexpr string_view kMessageMarks[] = {"<|message_sep|>"};

constexpr ReasoningFormat kReasoningFormats[] = {
    {.name = "none"},
    {.name = "think", .open = "<think>", .close = kThinkClose},
    {.name = "think-response", .open = "<think>", .close = kThinkClose, .dropped = kResponseTags},
    {.name = "think-answer", .open = "<think>", .close = kThinkClose, .dropped = kAnswerTags},
    {.name = "harmony",
     .open = "<|channel|>analysis<|message|>",
     .close = kHarmonyClose,
     .dropped = kHarmonyMarks,
     .prompt_end = "<|start|>assistant"},
    {.name = "mistral", .open = "[THINK]", .close = kMistralClose},
    {.name = "command", .open = "<|START_THINKING|>", .close = kCommandClose, .dropped = kCommandMarks},
    {.name = "gemma4", .open = "<|channel>thought\n", .close = kGemmaClose},
    {.name = "seed", .open = "<seed:think>", .close = kSeedClose},
    {.name = "apertus", .open = "<|inner_prefix|>", .close = kApertusClose},
    {.name = "granite", .open = "Here is my thought process:", .close = kGraniteClose},
    {.name = "thought", .open = "<thought>", .close = kThoughtClose},
    {.name = "functionary", .dropped = kAllMarks},
    {.name = "gigachat", .dropped = kMessageMarks},
};

template <class Row>
const Row& find(std::span<const Row> rows, string_view name, string_view what) {
  for (const Row& row : rows) {
    if (row.name == name) return row;
  }
  fail(ErrorKind::usage, "{} is not a {} format", name, what);
}

}  // namespace

std::span<const CallFormat> call_formats() { return kCallFormats; }
std::span<const ReasoningFormat> reasoning_formats() { return kReasoningFormats; }

const CallFormat& call_format(string_view name) { return find(call_formats(), name, "tool call"); }

const ReasoningFormat& reasoning_format(string_view name) {
  return find(reasoning_formats(), name, "reasoning");
}

}  // namespace medlar::reply
