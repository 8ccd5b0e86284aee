// The text of one or several calls by one layout: what opens it, the calls, what closes it.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "text/reply/call_reader.h"
#include "text/reply/reply.h"

namespace medlar::reply {

class RunReader {
 public:
  enum class State {
    reading,
    done,
    failed  // the call being read is none, or there was none to begin with
  };

  // What a feed() came to, after the bytes it took: a part of the arguments of call(), maybe its end.
  struct Event {
    std::size_t taken = 0;
    std::string arguments{};
    bool call_ended = false;
  };

  // `calls_left`: how many calls there may be, at least one.
  RunReader(const Program& program, std::span<const Tool> tools, const Limits& limits,
            std::size_t calls_left);

  Event feed(std::string_view text);
  Event finish();

  State state() const { return state_; }
  // The call being read, and whether it has begun and not ended.
  const CallReader& call() const { return call_; }
  bool in_call() const { return at_ == At::call && call_.begun(); }
  // A whole call has been read.
  bool any() const { return any_; }
  // Bytes taken of the call being read.
  std::size_t call_taken() const { return call_taken_; }
  // Once done or failed: the last bytes that were taken and do not belong to the calls after all.
  std::size_t overrun() const { return overrun_; }

 private:
  enum class At { open, call, tail, next, close };

  Event feed_call(std::string_view text);
  std::size_t feed_tail(std::string_view text);
  bool take(char c);
  void begin_call(std::string_view beginning);
  void end_tail();

  const Program* program_;
  std::span<const Tool> tools_;
  const Limits* limits_;
  std::size_t calls_left_;
  State state_ = State::reading;
  At at_ = At::open;
  Literal literal_;
  CallReader call_;
  std::size_t call_taken_ = 0;
  bool any_ = false;
  std::size_t overrun_ = 0;
};

}  // namespace medlar::reply
