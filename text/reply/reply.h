// What an answer comes to: content, reasoning and tool calls, whole and as a stream of deltas.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string>
#include <vector>

namespace medlar::reply {

// A function that the model may call.
struct Tool {
  std::string name;
  boost::json::value parameters = {};  // JSON Schema of the arguments' object; null: anything
};

struct Call {
  std::string id;         // as the model wrote it; empty where its format has none
  std::string name;       // never empty
  std::string arguments;  // text of a JSON object; byte for byte as sampled where the model writes JSON
  std::size_t index = 0;  // of its deltas
  bool operator==(const Call&) const = default;
};

struct Reply {
  std::string content;
  std::string reasoning;
  std::vector<Call> calls;
  std::string text;        // every byte that was pushed: what to replay as this turn
  bool malformed = false;  // a call began that does not parse: its text stands in content
  bool truncated = false;  // the answer ended inside a call: its text stands in content
  bool operator==(const Reply&) const = default;
};

// One step of the stream. In all deltas of a kind (and index), the texts concatenate to the reply's.
struct Delta {
  enum class Kind {
    content,         // text
    reasoning,       // text
    call_begin,      // index, name, and the id where it comes before the arguments
    call_arguments,  // index, text: a part of the arguments' JSON
    call_end,        // index, id
    call_malformed,  // index: this call is none; its text follows as content
  };
  Kind kind = Kind::content;
  std::size_t index = 0;
  std::string text{};
  std::string name{};
  std::string id{};
  bool operator==(const Delta&) const = default;
};

// Whatever exceeds them is content, and the reply malformed.
struct Limits {
  int depth = 32;                        // of nested arguments; Boost.JSON's own default
  std::size_t calls = 128;               // in one reply
  std::size_t call_bytes = 1024 * 1024;  // text of one call
  std::size_t name_bytes = 256;          // of a function or parameter
};

}  // namespace medlar::reply
