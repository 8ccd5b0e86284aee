// ReplyStream: an answer's text on its way from tokens to the parser. Internal to engine/.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "engine/reply_plan.h"

namespace medlar {

// Text reaches the parser when no stop string can begin in it any more. Special tokens are no text, but the
// parser wants to see them at their places: they go with the text before them.
class ReplyStream {
 public:
  explicit ReplyStream(const ReplyPlan& plan) : parser_(plan.format, plan.options) {}

  // As tokens say it, before anything is held back.
  void note_text(std::size_t bytes) { noted_ += bytes; }
  std::vector<reply::Delta> note_special(std::string_view name);
  // Text that was noted before, in the same order.
  std::vector<reply::Delta> push(std::string_view text);
  std::vector<reply::Delta> finish() { return parser_.finish(); }

  const reply::Reply& reply() const { return parser_.reply(); }
  bool in_reasoning() const { return parser_.in_reasoning(); }

 private:
  struct Special {
    std::size_t at;  // bytes of text before it
    std::string name;
  };
  reply::ReplyParser parser_;
  std::deque<Special> specials_;
  std::size_t noted_ = 0, pushed_ = 0;  // bytes of text
};

}  // namespace medlar
