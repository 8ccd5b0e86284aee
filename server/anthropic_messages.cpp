#include "server/anthropic_messages.h"

#include <boost/json/serialize.hpp>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "server/api_error.h"
#include "server/generation.h"

namespace medlar::server {
namespace {

namespace json = boost::json;

// What is being put together out of one message's blocks.
struct Parts {
  std::string text, reasoning;
  json::array calls;
  std::vector<ChatMessage> results;
};

void add_result(const json::object& block, const Path& path, Parts& parts) {
  const json::value* content = block.if_contains("content");
  std::string text;
  if (content && !content->is_null()) text = read_text_parts(*content, path / "content");
  parts.results.push_back({{{"role", "tool"},
                            {"tool_call_id", required_text_at(block, "tool_use_id", path)},
                            {"content", text}}});
}

void add_block(const json::object& block, const Path& path, bool assistant, Parts& parts) {
  const std::string_view type = required_text_at(block, "type", path);
  if (type == "text") {
    parts.text += required_text_at(block, "text", path);
  } else if (type == "tool_result" && !assistant) {
    add_result(block, path, parts);
  } else if (type == "thinking" && assistant) {
    parts.reasoning += required_text_at(block, "thinking", path);
  } else if (type == "tool_use" && assistant) {
    const json::value* input = block.if_contains("input");
    if (!input) fail_at(path / "input", "is required");
    parts.calls.push_back({{"id", required_text_at(block, "id", path)},
                           {"type", "function"},
                           {"function",
                            {{"name", required_text_at(block, "name", path)},
                             {"arguments", object_at(*input, path / "input")}}}});
  } else {
    fail_at(path / "type", fmt::format("this server reads no \"{}\" here", printable(type, 64)));
  }
}

}  // namespace

AnthropicMessage JsonType<AnthropicMessage>::read(const json::value& v, const Path& path, const FieldSpec&) {
  const json::object& object = object_at(v, path);
  const std::string_view role = required_text_at(object, "role", path);
  if (role != "user" && role != "assistant") fail_at(path / "role", "must be one of user, assistant");
  const bool assistant = role == "assistant";
  const json::value* content = object.if_contains("content");
  if (!content) fail_at(path / "content", "is required");
  if (content->is_string()) return {{ChatMessage{{{"role", role}, {"content", content->get_string()}}}}};
  if (!content->is_array())
    fail_at(path / "content",
            fmt::format("must be a string or a list of blocks, not {}", kind_name(*content)));
  Parts parts;
  const Path list = path / "content";
  std::size_t i = 0;
  for (const json::value& block : content->get_array()) {
    const Path here = list[i++];
    add_block(object_at(block, here), here, assistant, parts);
  }
  AnthropicMessage message{std::move(parts.results)};
  if (!message.messages.empty() && parts.text.empty()) return message;
  json::object said{{"role", role}, {"content", parts.text}};
  if (!parts.reasoning.empty()) said["reasoning_content"] = parts.reasoning;
  if (!parts.calls.empty()) said["tool_calls"] = std::move(parts.calls);
  message.messages.push_back({std::move(said)});
  return message;
}

json::object JsonType<AnthropicMessage>::schema(const FieldSpec&) {
  const json::object block{
      {"type", "object"},
      {"properties", {{"type", {{"enum", {"text", "tool_use", "tool_result", "thinking"}}}}}},
      {"required", {"type"}}};
  return {{"type", "object"},
          {"properties",
           {{"role", {{"enum", {"user", "assistant"}}}},
            {"content", {{"oneOf", {{{"type", "string"}}, {{"type", "array"}, {"items", block}}}}}}}},
          {"required", {"role", "content"}}};
}

json::array content_blocks(const reply::Reply& reply) {
  json::array blocks;
  if (!reply.reasoning.empty())
    blocks.push_back({{"type", "thinking"}, {"thinking", reply.reasoning}, {"signature", ""}});
  if (!reply.content.empty() || reply.calls.empty())
    blocks.push_back({{"type", "text"}, {"text", reply.content}});
  for (const reply::Call& call : reply.calls)
    blocks.push_back(
        {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", call_input(call)}});
  return blocks;
}

}  // namespace medlar::server
