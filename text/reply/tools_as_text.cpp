// Messages are rewritten one by one; results that follow each other become one.
#include "text/reply/tools_as_text.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/reply/render.h"

namespace medlar::reply {
namespace {

namespace json = boost::json;

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

// The member `function` of a tool or call, or the object itself.
const json::object& function_of(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) fail(ErrorKind::usage, "a tool is not an object");
  const json::value* inner = object->if_contains("function");
  return inner != nullptr && inner->is_object() ? inner->get_object() : *object;
}

std::string described(const json::array& tools) {
  std::string out = "You can call these functions, one a line:\n<tools>\n";
  for (const json::value& tool : tools) out += json::serialize(function_of(tool)) + "\n";
  out +=
      "</tools>\n"
      "To call a function, write its name and arguments as JSON between <tool_call> and </tool_call>, "
      "several times "
      "for several calls, and then stop:\n"
      "<tool_call>\n{\"name\": \"the function\", \"arguments\": {\"a parameter\": \"its "
      "value\"}}\n</tool_call>\n"
      "You will get the result between <tool_response> and </tool_response>. If no function helps, answer "
      "without "
      "one.";
  return out;
}

std::vector<Call> calls_of(const json::array& list) {
  std::vector<Call> calls;
  for (const json::value& value : list) {
    const json::object& function = function_of(value);
    const json::value* arguments = function.if_contains("arguments");
    Call call{text_at(value.get_object(), "id"), text_at(function, "name"), "{}", calls.size()};
    if (call.name.empty()) fail(ErrorKind::usage, "message: a tool call has no name");
    if (arguments != nullptr && arguments->is_string()) {
      call.arguments = arguments->get_string();
    } else if (arguments != nullptr) {
      call.arguments = json::serialize(*arguments);
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

void write_calls(const ReplyFormat& format, json::object& message) {
  const json::value* list = message.if_contains("tool_calls");
  if (list == nullptr || !list->is_array()) return;
  std::string text = text_at(message, "content");
  if (!text.empty()) text += '\n';
  text += render(*format.calls, calls_of(list->get_array()));
  message["content"] = text;
  message.erase("tool_calls");
}

// Results that follow each other are one message, and so is what the user adds: roles take turns.
void add_result(json::array& out, const json::object& message, bool after_result) {
  const std::string text = "<tool_response>\n" + text_at(message, "content") + "\n</tool_response>";
  if (after_result) {
    json::object& last = out.back().as_object();
    last["content"] = text_at(last, "content") + "\n" + text;
  } else {
    out.push_back({{"role", "user"}, {"content", text}});
  }
}

void describe(json::array& messages, const json::array& tools) {
  for (json::value& value : messages) {
    json::object& message = value.as_object();
    const std::string role = text_at(message, "role");
    const json::value* content = message.if_contains("content");
    if ((role != "system" && role != "user") || content == nullptr || !content->is_string()) continue;
    const std::string text = text_at(message, "content");
    message["content"] =
        role == "system" ? text + "\n\n" + described(tools) : described(tools) + "\n\n" + text;
    return;
  }
  messages.insert(messages.begin(), json::object{{"role", "system"}, {"content", described(tools)}});
}

}  // namespace

json::array tools_as_text(const ReplyFormat& format, const json::array& messages, const json::array& tools) {
  json::array out;
  bool after_result = false;
  for (const json::value& value : messages) {
    if (!value.is_object()) fail(ErrorKind::usage, "a message is not an object");
    json::object message = value.get_object();
    const std::string role = text_at(message, "role");
    if (!format.template_has_calls) write_calls(format, message);
    if (!format.template_has_tools && role == "tool") {
      add_result(out, message, after_result);
      after_result = true;
      continue;
    }
    const json::value* content = message.if_contains("content");
    if (after_result && role == "user" && content != nullptr && content->is_string()) {
      json::object& last = out.back().as_object();
      last["content"] = text_at(last, "content") + "\n\n" + text_at(message, "content");
    } else {
      out.push_back(std::move(message));
    }
    after_result = false;
  }
  if (!format.template_has_tools && !tools.empty()) describe(out, tools);
  return out;
}

}  // namespace medlar::reply
