// What a request demands of its answer's form - a schema, a grammar, tools, reasoning - in each protocol's
// words, and in one form for all of them.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/form.h"
#include "text/reply/tool_grammar.h"

namespace medlar::server {

// The form of the content: a text in one of the notations of text/grammar.
struct ContentForm {
  enum class Notation : std::uint8_t { gbnf, json_schema, regex };
  Notation notation = Notation::gbnf;
  std::string source;
  std::string param;  // the field that it comes from
};

struct Demands {
  boost::json::array tools;  // in OpenAI's form, as chat templates read them
  reply::ToolChoice choice;
  std::optional<ContentForm> content;
  std::optional<bool> think;    // unset: as the model does by itself
  std::string effort;           // "low", "medium", "high"; empty: none given
  std::int64_t budget = -1;     // tokens of reasoning; -1: any number
  bool split_reasoning = true;  // otherwise it is content
};

// The fields as they come.
struct Structure {
  boost::json::value grammar, json_schema, regex;                // all protocols
  boost::json::value response_format, functions, function_call;  // OpenAI
  boost::json::value text, reasoning;                            // OpenAI's Responses
  boost::json::value tools, tool_choice;                         // OpenAI, Anthropic, Ollama
  std::string reasoning_effort, reasoning_format;                // OpenAI
  boost::json::value format, think;                              // Ollama
  boost::json::value thinking, output_format, output_config;     // Anthropic
  std::int64_t reasoning_budget = -1;                            // OpenAI
  bool parallel_tool_calls = true;                               // OpenAI
};

// The fields of chats and of plain completions in each protocol's words. The demands throw ApiError(400)
// naming what cannot be met.
const Form<Structure>& completion_structure_form();
const Form<Structure>& openai_structure_form();
const Form<Structure>& responses_structure_form();
const Form<Structure>& ollama_structure_form();
const Form<Structure>& anthropic_structure_form();
Demands completion_demands(const Structure& structure);
Demands openai_demands(const Structure& structure);
Demands responses_demands(const Structure& structure);
Demands ollama_demands(const Structure& structure);
Demands anthropic_demands(const Structure& structure);

}  // namespace medlar::server
