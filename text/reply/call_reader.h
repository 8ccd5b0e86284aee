// One tool call, read byte by byte by the steps of its layout.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/reply/format.h"
#include "text/reply/object_reader.h"
#include "text/reply/parameters_reader.h"
#include "text/reply/pattern.h"
#include "text/reply/reply.h"
#include "text/reply/value_reader.h"

namespace medlar::reply {

// A layout made ready for reading.
struct Program {
  explicit Program(const CallLayout& source);

  const CallLayout* layout;
  std::vector<Step> call;
  std::vector<Step> parameter;
  std::string_view marker;  // what begins the text of a call or of several; empty: `start` does
  char start = 0;           // the first byte, where the layout has no marker of its own
};

class CallReader {
 public:
  enum class State {
    reading,
    complete,  // the arguments are; fixed text may follow
    done,
    bad
  };

  CallReader(const Program& program, std::span<const Tool> tools, const Limits& limits);

  // How many bytes belong to the call. Appends to `arguments`.
  std::size_t feed(std::string_view text, std::string& arguments);
  // The answer ends here.
  State finish(std::string& arguments);

  State state() const { return state_; }
  // The name is known, and arguments follow: it is a call.
  bool begun() const { return begun_; }
  const std::string& name() const { return name_; }
  const std::string& id() const { return id_; }
  // Once done: the last bytes that were taken and do not belong to the call after all.
  std::size_t overrun() const;

 private:
  void enter(std::size_t step);
  void fail() { state_ = State::bad; }
  bool take(char c);
  bool take_literal(char c);
  bool take_name(char c);
  bool take_index(char c);
  bool take_any(char c);
  std::size_t feed_arguments(std::string_view text, std::string& arguments);
  std::size_t feed_object(ObjectReader& object, std::string_view text, std::string& arguments);
  std::size_t feed_parameters(ParametersReader& parameters, std::string_view text, std::string& arguments);
  std::size_t feed_value(ValueReader& value, std::string_view text, std::string& arguments);
  std::size_t feed_code(std::string_view text, std::string& arguments);
  bool fixed_from(std::size_t step) const;
  bool end_name();

  const Program* program_;
  std::span<const Tool> tools_;
  const Limits* limits_;

  State state_ = State::reading;
  std::size_t step_ = 0;
  bool begun_ = false;
  std::string name_, id_;
  std::string seen_;         // of $index, or of the word that ends $any
  std::size_t skipped_ = 0;  // bytes of $any
  Literal literal_;
  std::variant<std::monostate, ValueReader, ObjectReader, ParametersReader> arguments_;
};

}  // namespace medlar::reply
