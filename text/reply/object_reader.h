// A call that is one JSON object: its name, arguments and id in any order.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "text/reply/pattern.h"
#include "text/reply/reply.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {

class ObjectReader {
 public:
  enum class State { reading, done, bad };

  // `strict`: only the keys of a call may appear, arguments have to, and the name is that of a tool if there
  // are any. Where nothing marks a call, this is what tells it from other JSON.
  ObjectReader(ObjectKeys keys, bool strict, std::span<const Tool> tools, const Limits& limits);

  std::size_t feed(std::string_view text, std::string& arguments);
  State state() const { return state_; }

  bool begun() const { return begun_; }
  const std::string& name() const { return name_; }
  const std::string& id() const { return id_; }

 private:
  enum class At { open, first_key, key, colon, value, comma };
  enum class Part { name, id, arguments, other };

  bool take(char c);
  void end_key();
  void begin_value();
  void end_value(std::string& arguments);
  void end_object(std::string& arguments);
  void end_arguments_text();
  void flush(std::string& arguments);
  void fail() { state_ = State::bad; }

  ObjectKeys keys_;
  bool strict_;
  std::span<const Tool> tools_;
  const Limits* limits_;

  State state_ = State::reading;
  At at_ = At::open;
  Part part_ = Part::other;
  ValueReader reader_;
  std::string text_;       // of the key or value being read
  std::string arguments_;  // read before the name
  bool have_arguments_ = false;
  bool streaming_ = false;  // the value being read is the arguments' object
  bool begun_ = false;
  std::string name_, id_;
};

}  // namespace medlar::reply
