// After each call comes what closes them all, or another call that may begin alike.
#include "text/reply/run_reader.h"

#include <utility>

namespace medlar::reply {

RunReader::RunReader(const Program& program, std::span<const Tool> tools, const Limits& limits,
                     std::size_t calls_left)
    : program_(&program),
      tools_(tools),
      limits_(&limits),
      calls_left_(calls_left),
      literal_(program.layout->open),
      call_(program, tools, limits) {
  if (literal_.ended()) begin_call({});
}

RunReader::Event RunReader::feed(std::string_view text) {
  Event event;
  while (event.taken < text.size() && state_ == State::reading && event.arguments.empty() &&
         !event.call_ended) {
    const std::string_view rest = text.substr(event.taken);
    if (at_ == At::call) {
      Event step = feed_call(rest);
      step.taken += event.taken;
      event = std::move(step);
    } else if (at_ == At::tail) {
      event.taken += feed_tail(rest);
    } else if (take(rest.front())) {
      ++event.taken;
    }
  }
  return event;
}

RunReader::Event RunReader::finish() {
  Event event;
  if (at_ == At::call) {
    if (call_.finish(event.arguments) == CallReader::State::done) {
      event.call_ended = true;
      any_ = true;
      at_ = At::tail;
    } else {
      state_ = State::failed;
      return event;
    }
  }
  // What closes the calls may be missing.
  overrun_ = at_ == At::tail ? call_.overrun() : at_ == At::close ? literal_.word().size() : 0;
  state_ = any_ ? State::done : State::failed;
  return event;
}

RunReader::Event RunReader::feed_call(std::string_view text) {
  Event event;
  // The layout's limit, and one byte more to see that it is exceeded.
  event.taken = call_.feed(text.substr(0, limits_->call_bytes + 1 - call_taken_), event.arguments);
  call_taken_ += event.taken;
  const CallReader::State state = call_.state();
  if (state == CallReader::State::bad || call_taken_ > limits_->call_bytes) {
    state_ = State::failed;
  } else if (state == CallReader::State::complete || state == CallReader::State::done) {
    event.call_ended = true;
    any_ = true;
    at_ = At::tail;
    if (state == CallReader::State::done) end_tail();
  }
  return event;
}

// What closes the call.
std::size_t RunReader::feed_tail(std::string_view text) {
  std::string none;
  const std::size_t taken = call_.feed(text, none);
  if (call_.state() == CallReader::State::done) end_tail();
  return taken;
}

void RunReader::end_tail() {
  overrun_ = call_.overrun();
  if (program_->layout->close.empty() || overrun_ > 0) {
    state_ = State::done;
  } else {
    at_ = At::next;
  }
}

// Outside of a call. Whether the byte was taken.
bool RunReader::take(char c) {
  if (at_ == At::next) {
    if (is_space(c) || c == ',' || c == ';') return true;
    literal_ = Literal(program_->layout->close);
    at_ = At::close;
    return false;
  }
  const Literal::Taken taken = literal_.take(c);
  if (taken == Literal::Taken::mismatch) {
    if (at_ == At::open) {
      state_ = State::failed;
    } else if (literal_.in_first_word()) {
      // Another call, which may begin as what closes the calls does.
      begin_call(literal_.word());
    } else {
      overrun_ = literal_.word().size();
      state_ = State::done;
    }
    return false;
  }
  if (literal_.ended()) {
    if (at_ == At::open) {
      begin_call({});
    } else {
      state_ = State::done;
    }
  }
  return taken == Literal::Taken::yes;
}

void RunReader::begin_call(std::string_view beginning) {
  call_ = CallReader(*program_, tools_, *limits_);
  std::string none;
  call_.feed(beginning, none);
  if (call_.state() == CallReader::State::bad || calls_left_-- == 0) state_ = State::failed;
  call_taken_ = beginning.size();
  at_ = At::call;
}

}  // namespace medlar::reply
