// Arguments written one by one between tags, as a JSON object.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/reply/pattern.h"
#include "text/reply/reply.h"
#include "text/reply/schema_types.h"

namespace medlar::reply {

class ParametersReader {
 public:
  enum class State { reading, done, bad };

  // `next` is the first word of what follows the last parameter. `tool` may be null.
  ParametersReader(std::span<const Step> parameter, std::string_view next, const Tool* tool,
                   const Limits& limits);

  // Reads up to the first byte of `next` that differs from what begins a parameter; `next_taken` bytes of it
  // are behind then.
  std::size_t feed(std::string_view text, std::string& arguments);
  State state() const { return state_; }
  std::size_t next_taken() const { return same_; }
  // It is clear that there is a parameter, or none.
  bool begun() const { return begun_; }

 private:
  enum class At { choice, literal, key, text, value };

  bool take(char c, std::string& arguments);
  bool take_choice(char c, std::string& arguments);
  bool take_until_word(char c);
  bool take_value(char c, std::string& arguments);
  void enter(std::size_t step, std::string& arguments);
  void begin_parameter(std::string& arguments);
  void append(std::string_view text, std::string& arguments);
  void release_break(std::string& arguments);
  void end_value(std::string& arguments);
  void fail() { state_ = State::bad; }

  std::span<const Step> steps_;
  std::string_view first_, next_;
  const Tool* tool_;
  const Limits* limits_;

  State state_ = State::reading;
  At at_ = At::choice;
  std::size_t same_ = 0;  // bytes that first_ and next_ have in common and that were read
  std::size_t step_ = 0;
  bool begun_ = false;
  bool any_ = false;  // a parameter has been read
  Literal literal_;
  std::string_view word_;    // ends the hole being read
  std::size_t matched_ = 0;  // bytes of word_
  std::string buffer_;       // a key, a flag, or a value that is not written as it comes
  Types types_;
  bool json_ = false;       // the format says that the value is JSON
  bool streaming_ = false;  // the value is text and written as it comes
  bool padded_ = false;     // a line break before and after the value is not part of it
  bool at_front_ = false;
  bool held_break_ = false;
};

}  // namespace medlar::reply
