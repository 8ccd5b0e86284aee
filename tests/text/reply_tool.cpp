// reply_tool: reads, writes and constrains answers for comparison with other implementations. Each line of
// input is a JSON object, each line of output its answer, or {"error": message}.
//   {"do": "parse", "format": NAME | "template": TEXT, "text": TEXT, "tools": LIST, "opened": TEXT}
//   {"do": "render", "format": NAME, "calls": LIST}
//   {"do": "grammar", "format": NAME, "reasoning": NAME, "tools": LIST, "choice": auto | required | a tool's
//   name,
//    "parallel": BOOL, "opened": TEXT, "think": BOOL}
// A tool is {"name", "parameters"}, a call {"id", "name", "arguments"} with the arguments as text.
#include <boost/json.hpp>
#include <iostream>
#include <string>

#include "base/error.h"
#include "text/reply/detect.h"
#include "text/reply/parser.h"
#include "text/reply/render.h"
#include "text/reply/tool_grammar.h"

namespace medlar::reply {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& job, std::string_view key, std::string_view otherwise = "") {
  const json::value* value = job.if_contains(key);
  return value == nullptr ? std::string(otherwise) : json::value_to<std::string>(*value);
}

bool flag_of(const json::object& job, std::string_view key) {
  const json::value* value = job.if_contains(key);
  return value == nullptr || value->as_bool();
}

std::vector<Tool> tools_of(const json::object& job) {
  std::vector<Tool> tools;
  const json::value* list = job.if_contains("tools");
  if (list == nullptr) return tools;
  for (const json::value& tool : list->as_array()) {
    tools.push_back({text_of(tool.as_object(), "name"), tool.at("parameters")});
  }
  return tools;
}

ReplyFormat format_of(const json::object& job) {
  if (job.contains("template")) return detect(text_of(job, "template"));
  return {.calls = &call_format(text_of(job, "format")),
          .reasoning = &reasoning_format(text_of(job, "reasoning", "none"))};
}

json::object parse(const json::object& job) {
  ReplyParser parser(format_of(job), {.tools = tools_of(job), .opened = text_of(job, "opened")});
  parser.push(text_of(job, "text"));
  parser.finish();
  const Reply& reply = parser.reply();
  json::array calls;
  for (const Call& call : reply.calls) {
    calls.push_back({{"id", call.id}, {"name", call.name}, {"arguments", call.arguments}});
  }
  return {{"content", reply.content},
          {"reasoning", reply.reasoning},
          {"calls", calls},
          {"malformed", reply.malformed}};
}

json::object write(const json::object& job) {
  std::vector<Call> calls;
  for (const json::value& value : job.at("calls").as_array()) {
    const json::object& call = value.as_object();
    calls.push_back({text_of(call, "id"), text_of(call, "name"), text_of(call, "arguments"), calls.size()});
  }
  return {{"text", render(call_format(text_of(job, "format")), calls)}};
}

json::object constrain(const json::object& job) {
  const ReplyFormat format = format_of(job);
  const std::vector<Tool> tools = tools_of(job);
  const std::string choice = text_of(job, "choice", "auto");
  using Kind = ToolChoice::Kind;
  const Kind kind = choice == "auto" ? Kind::automatic : choice == "required" ? Kind::required : Kind::named;
  const auto grammar =
      tool_grammar({.format = format,
                    .tools = tools,
                    .choice = {.kind = kind, .name = choice, .parallel = flag_of(job, "parallel")},
                    .opened = text_of(job, "opened"),
                    .reasoning = flag_of(job, "think")});
  if (!grammar) return {};
  json::array holes, triggers;
  for (const ToolGrammar::Hole& hole : grammar->holes) {
    holes.push_back({{"rule", hole.rule}, {"schema", hole.schema}});
  }
  for (const std::string& trigger : grammar->triggers) triggers.push_back(json::value(trigger));
  return {{"gbnf", grammar->gbnf},
          {"holes", holes},
          {"triggers", triggers},
          {"trigger_at_start", grammar->trigger_at_start}};
}

json::object answer(const std::string& line) {
  const json::value job = json::parse(line);
  const std::string what = text_of(job.as_object(), "do");
  try {
    return what == "parse"    ? parse(job.as_object())
           : what == "render" ? write(job.as_object())
                              : constrain(job.as_object());
  } catch (const Error& error) {
    return {{"error", error.what()}};
  }
}

}  // namespace
}  // namespace medlar::reply

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << boost::json::serialize(medlar::reply::answer(line)) << std::endl;
  }
}
