// From what a client sends to the tokens a model reads. Nothing is ever dropped: what does not fit is an
// error.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "server/form.h"
#include "server/settings.h"

namespace medlar::server {

// One message in OpenAI's form, as the template will see it: its content is a string.
struct ChatMessage {
  boost::json::object object;
};
template <>
struct JsonType<ChatMessage> {
  // Text parts become one string. Throws ApiError(400) naming a part that is no text.
  static ChatMessage read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

// "text", or [{"type": "text", "text": "..."}, ...] as one string.
std::string read_text_parts(const boost::json::value& content, const Path& path);

struct Conversation {
  std::vector<ChatMessage> messages;
  boost::json::object variables;  // for the template
  bool continue_last = false;     // the last message is the beginning of the answer
  std::string client;             // whose conversation it is
};

// The largest context that this model and the memory that can be had now allow.
std::int64_t largest_context(const Engine& engine);

// How the engine is to answer a prompt of that many tokens. Throws ApiError(400) with the prompt's tokens,
// the limit and the largest context that fits where it does not fit or asks for more context than there is.
GenerateOptions generate_options(const Engine& engine, const Settings& settings, std::size_t prompt_tokens);

}  // namespace medlar::server
