// ReplyStream: an answer's text on its way from tokens to the parser. Internal to engine/.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reply_plan.h"

namespace medlar {

// Text comes in as tokens say it, and goes to the parser when nothing holds it back any more; which parts of
// it are special tokens is remembered on the way.
class ReplyStream {
 public:
  explicit ReplyStream(const ReplyPlan& plan) : parser_(plan.format, plan.options) {}

  // The next `size` bytes of the text are a special token.
  void note_special(std::size_t size) { specials_.push_back({noted_, size}), noted_ += size; }
  void note_text(std::size_t size) { noted_ += size; }
  // Text that was noted before, in the same order.
  std::vector<reply::Delta> push(std::string_view text);
  std::vector<reply::Delta> finish();

  const reply::Reply& reply() const { return parser_.reply(); }
  bool in_reasoning() const { return parser_.in_reasoning(); }

 private:
  struct Special {
    std::size_t begin, size;
  };
  reply::ReplyParser parser_;
  std::deque<Special> specials_;
  std::size_t noted_ = 0, passed_ = 0;  // bytes
  std::string waiting_;                 // the beginning of a special token
};

}  // namespace medlar
