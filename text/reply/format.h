// How models write tool calls and reasoning: one row a format, written the way the text looks.
#pragma once

#include <span>
#include <string_view>

namespace medlar::reply {

// The text of tool calls: `open`, then `call` for each of them with `between` in between, then `close`. Where
// a pattern has a blank or a line break, the text may have any white space, or none. The holes of `call`:
//   $object      a JSON object with the name and the arguments; `object` says under which keys
//   $name        the function's name
//   $index       the call's number in the answer; functions.NAME:INDEX is then its id
//   $any         anything up to what follows
//   $json        the arguments as a JSON object
//   $keywords    the arguments as Python's: key='value', other=[1, None]
//   $pairs       the arguments as key:value,other:[1,null], strings within `quote`
//   $parameters  the arguments one by one: `parameter`, with the holes $key, $value and, where the format
//                says whether the value is text or JSON, $text ("true" or "false")
//   $code        all that follows is the argument `code` of the code interpreter
// `object` has the holes $name, $json and maybe $id; its keys may come in any order, and others are skipped.
struct CallLayout {
  std::string_view open = {};
  std::string_view call;
  std::string_view between = {};
  std::string_view close = {};
  std::string_view object = R"({"name": "$name", "arguments": $json})";
  std::string_view parameter = {};
  std::string_view quote = {};
  bool at_start = false;        // nothing marks it: it is looked for only where the content begins
  bool ends_reasoning = false;  // its marker ends reasoning that was left open
};

struct CallFormat {
  std::string_view name;
  std::span<const CallLayout> layouts;  // the first is written; all are read
  std::string_view prompt_end = {};     // what the prompt ends with where it has begun the first call already
  bool parallel = true;                 // several calls in one answer
};

// Reasoning stands between `open` and any of `close`.
struct ReasoningFormat {
  std::string_view name;
  std::string_view open = {};
  std::span<const std::string_view> close = {};
  std::span<const std::string_view> dropped = {};  // marks around other parts, which are not content
  std::string_view prompt_end = {};                // what the prompt ends with where marks begin there
};

std::span<const CallFormat> call_formats();
std::span<const ReasoningFormat> reasoning_formats();

// The rows of these names. Throws Error(usage) where there is none.
const CallFormat& call_format(std::string_view name);
const ReasoningFormat& reasoning_format(std::string_view name);

}  // namespace medlar::reply
