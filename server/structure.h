// What a request demands of its answer's form - a schema, a grammar, tools, reasoning - in each protocol's
// words. This is where grammars and tool calls enter the server: none of them is ever ignored, so what cannot
// be had yet is refused by name.
#pragma once

#include <boost/json/value.hpp>

#include "server/form.h"

namespace medlar::server {

struct Structure {
  bool parallel_tool_calls = true;
  boost::json::value response_format, functions, function_call;  // OpenAI
  boost::json::value tools, tool_choice;                         // OpenAI, Anthropic, Ollama
  boost::json::value format, think;                              // Ollama
  boost::json::value thinking;                                   // Anthropic
  boost::json::value grammar, json_schema;                       // llama-server
};

const Form<Structure>& structure_form();

// Throws ApiError(400) naming the first demand that cannot be met.
void require_plain_text(const Structure& structure);

}  // namespace medlar::server
