// How values print: Python's str() and repr(), and json.dumps.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/runtime.h"

namespace medlar::jinja {

void append_str(Runtime& rt, TextBuilder& out, const Value& value);
void append_repr(Runtime& rt, TextBuilder& out, const Value& value);
void append_text_repr(TextBuilder& out, std::string_view text);
// repr() with everything beyond ASCII escaped.
void append_ascii(Runtime& rt, TextBuilder& out, const Value& value);

// The arguments of json.dumps.
struct JsonStyle {
  bool ascii = false;                 // escape everything beyond ASCII
  std::optional<std::string> indent;  // of one level; unset: one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
// Throws Error(usage) for what JSON cannot say.
void append_json(Runtime& rt, TextBuilder& out, const Value& value, const JsonStyle& style);

// pprint.pformat: repr(), broken into lines of 80 columns, dictionaries by key. Long strings stay whole.
void append_pretty(Runtime& rt, TextBuilder& out, const Value& value);

}  // namespace medlar::jinja
