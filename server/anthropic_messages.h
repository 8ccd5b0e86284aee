// Anthropic's messages as OpenAI's, which chat templates read.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "server/form.h"
#include "server/prompt.h"

namespace medlar::server {

// One message: its text, reasoning and tool uses are one of OpenAI's, each tool result is one more.
struct AnthropicMessage {
  std::vector<ChatMessage> messages;  // never empty
};
template <>
struct JsonType<AnthropicMessage> {
  // Throws ApiError(400) naming a block of a kind that this server does not read.
  static AnthropicMessage read(const boost::json::value& v, const Path& path, const FieldSpec& spec);
  static boost::json::object schema(const FieldSpec& spec);
};

// The blocks of an answer.
boost::json::array content_blocks(const reply::Reply& reply);

}  // namespace medlar::server
