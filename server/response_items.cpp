#include "server/response_items.h"

#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// "text", or a list of parts {"type": "input_text", "text"}; other parts of text have the same key.
std::string content_text(const json::value& content, const Path& path) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array())
    fail_at(path, fmt::format("must be a string or a list of parts, not {}", kind_name(content)));
  std::string text;
  std::size_t i = 0;
  for (const json::value& value : content.get_array()) {
    const Path here = path[i++];
    const json::object& part = object_at(value, here);
    const std::string_view type = required_text_at(part, "type", here);
    if (type == "refusal") {
      text += required_text_at(part, "refusal", here);
    } else if (type == "input_text" || type == "output_text" || type == "text" || type == "reasoning_text" ||
               type == "summary_text") {
      text += required_text_at(part, "text", here);
    } else {
      fail_at(here / "type", "this model reads text only");
    }
  }
  return text;
}

// Messages, the last of which the assistant may still be saying.
class Builder {
 public:
  void add(const json::object& item, const Path& path) {
    const json::value* given = item.if_contains("type");
    const std::string_view type = given ? required_text_at(item, "type", path) : "message";
    if (type == "message") {
      message(item, path);
    } else if (type == "reasoning") {
      reasoning(item, path);
    } else if (type == "function_call") {
      call(item, path);
    } else if (type == "function_call_output") {
      const json::value* output = item.if_contains("output");
      if (!output) fail_at(path / "output", "is required");
      push({{"role", "tool"},
            {"tool_call_id", required_text_at(item, "call_id", path)},
            {"content", content_text(*output, path / "output")}});
    } else {
      fail_at(path / "type", fmt::format("this server reads no \"{}\"", printable(type, 64)));
    }
  }
  std::vector<ChatMessage> take() { return std::move(messages_); }

 private:
  void push(json::object message) {
    assistant_ = message.at("role").as_string() == "assistant";
    messages_.push_back({std::move(message)});
  }
  // The assistant's message that is being put together.
  json::object& assistant(std::string_view unless) {
    if (!assistant_ || messages_.back().object.contains(unless))
      push({{"role", "assistant"}, {"content", nullptr}});
    return messages_.back().object;
  }

  void message(const json::object& item, const Path& path) {
    const std::string_view role = required_text_at(item, "role", path);
    if (role != "user" && role != "assistant" && role != "system" && role != "developer")
      fail_at(path / "role", "must be one of user, assistant, system, developer");
    const json::value* content = item.if_contains("content");
    if (!content) fail_at(path / "content", "is required");
    const std::string text = content_text(*content, path / "content");
    if (role != "assistant")
      return push({{"role", role == "developer" ? "system" : role}, {"content", text}});
    // Reasoning stands before what it led to.
    if (!assistant_ || !messages_.back().object.at("content").is_null())
      push({{"role", "assistant"}, {"content", nullptr}});
    messages_.back().object["content"] = text;
  }

  void reasoning(const json::object& item, const Path& path) {
    const json::value* content = item.if_contains("content");
    if (!content || content->is_null()) return;
    const std::string text = content_text(*content, path / "content");
    if (!text.empty()) assistant("reasoning_content")["reasoning_content"] = text;
  }

  void call(const json::object& item, const Path& path) {
    json::object& message = assistant("no such member");
    json::value& calls = message["tool_calls"];
    if (calls.is_null()) calls = json::array();
    calls.as_array().push_back({{"id", required_text_at(item, "call_id", path)},
                                {"type", "function"},
                                {"function",
                                 {{"name", required_text_at(item, "name", path)},
                                  {"arguments", required_text_at(item, "arguments", path)}}}});
  }

  std::vector<ChatMessage> messages_;
  bool assistant_ = false;
};

}  // namespace

json::array input_items(const json::value& input) {
  const Path path{.name = "input"};
  if (input.is_string()) return {{{"type", "message"}, {"role", "user"}, {"content", input.get_string()}}};
  if (!input.is_array())
    fail_at(path, fmt::format("must be a string or a list of items, not {}", kind_name(input)));
  if (input.get_array().empty()) fail_at(path, "is empty");
  return input.get_array();
}

std::vector<ChatMessage> messages_of(const json::array& items, const Path& path) {
  Builder builder;
  std::size_t i = 0;
  for (const json::value& item : items) {
    const Path here = path[i++];
    builder.add(object_at(item, here), here);
  }
  std::vector<ChatMessage> messages = builder.take();
  for (ChatMessage& message : messages) {
    json::value& content = message.object["content"];
    if (content.is_null() && !message.object.contains("tool_calls")) content = "";
  }
  return messages;
}

void OutputItems::begin(const reply::Delta& part) {
  open_ = true;
  kind_ = part.kind;
  text_.clear();
  const auto id = [&](std::string_view prefix) {
    return fmt::format("{}_{}{:03}", prefix, response_.substr(response_.find('_') + 1), made_++);
  };
  switch (part.kind) {
    case Kind::reasoning:
      items_.push_back({{"id", id("rs")}, {"type", "reasoning"}, {"summary", json::array()}});
      break;
    case Kind::call_begin:
      items_.push_back(
          {{"id", id("fc")}, {"type", "function_call"}, {"call_id", part.id}, {"name", part.name}});
      break;
    default:
      items_.push_back({{"id", id("msg")}, {"type", "message"}, {"role", "assistant"}});
  }
  fill("in_progress");
}

void OutputItems::fill(std::string_view status) {
  json::object& item = items_.back().get_object();
  item["status"] = status;
  const bool done = status == "completed";
  if (kind_ == Kind::reasoning) {
    item["content"] = done ? json::array{{{"type", "reasoning_text"}, {"text", text_}}} : json::array();
  } else if (kind_ == Kind::call_begin) {
    item["arguments"] = text_;
  } else {
    item["content"] = done ? json::array{{{"type", "output_text"},
                                          {"text", text_},
                                          {"annotations", json::array()},
                                          {"logprobs", json::array()}}}
                           : json::array();
  }
}

void OutputItems::add(std::string_view text) { text_ += text; }

void OutputItems::end() {
  fill("completed");
  open_ = false;
}

void OutputItems::drop() {
  items_.pop_back();
  open_ = false;
}

json::array output_items(const std::string& response, const reply::Reply& reply) {
  OutputItems items(response);
  const auto put = [&](const reply::Delta& part, std::string_view text) {
    items.begin(part);
    items.add(text);
    items.end();
  };
  using Kind = reply::Delta::Kind;
  if (!reply.reasoning.empty()) put({.kind = Kind::reasoning}, reply.reasoning);
  if (!reply.content.empty() || reply.calls.empty()) put({.kind = Kind::content}, reply.content);
  for (const reply::Call& call : reply.calls)
    put({.kind = Kind::call_begin, .name = call.name, .id = call.id}, call.arguments);
  return items.all();
}

}  // namespace medlar::server
