#include "cli/conversation.h"

#include <fmt/format.h>

#include "base/error.h"
#include "cli/json.h"

namespace medlar::cli {
namespace {

std::string text_field(const boost::json::object& message, std::string_view field, std::string_view where) {
  const boost::json::value* value = message.if_contains(field);
  if (!value || !value->is_string()) fail(ErrorKind::bad_file, "{}: \"{}\" is no text", where, field);
  return std::string(value->as_string());
}

}  // namespace

std::vector<std::int32_t> to_tokens(const Engine& engine, std::span<const Message> messages) {
  if (!engine.chat_template())
    throw Error(ErrorKind::unsupported, "the model has no chat template",
                "medlar run --raw continues a text with it");
  boost::json::array list;
  for (const Message& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  return text::encode_rendered(engine.tokenizer(),
                               engine.chat_template()->render({.messages = std::move(list)}));
}

std::string to_json(std::span<const Message> messages) {
  boost::json::array list;
  for (const Message& message : messages)
    list.push_back({{"role", message.role}, {"content", message.content}});
  return to_line({{"messages", std::move(list)}});
}

std::vector<Message> messages_from_json(std::string_view text, std::string_view source) {
  const boost::json::value value = parse_json(text, source);
  const boost::json::value* list = value.is_object() ? value.as_object().if_contains("messages") : nullptr;
  if (!list || !list->is_array()) fail(ErrorKind::bad_file, "{}: there is no list \"messages\"", source);
  std::vector<Message> messages;
  for (const boost::json::value& item : list->as_array()) {
    const std::string where = fmt::format("{}: message {}", source, messages.size());
    if (!item.is_object()) fail(ErrorKind::bad_file, "{} is no object", where);
    messages.push_back(
        {text_field(item.as_object(), "role", where), text_field(item.as_object(), "content", where)});
  }
  return messages;
}

}  // namespace medlar::cli
