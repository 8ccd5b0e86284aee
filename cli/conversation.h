// A conversation as messages, and as the tokens a model reads.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace medlar::cli {

struct Message {
  std::string role, content;
};

// Rendered by the model's own chat template, with the prompt for its answer at the end.
// Throws Error(unsupported) for a model without a template, and what rendering throws.
std::vector<std::int32_t> to_tokens(const Engine& engine, std::span<const Message> messages);

// {"messages": [{"role", "content"}]} and back. Throws Error(bad_file) naming `source` and the field.
std::string to_json(std::span<const Message> messages);
std::vector<Message> messages_from_json(std::string_view text, std::string_view source);

}  // namespace medlar::cli
