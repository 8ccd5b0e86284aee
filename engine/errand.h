// Errand: work on a scheduler's engine that is no answer, done a piece at a time between its steps.
#pragma once

#include <cstdint>

namespace medlar {

class Errand {
 public:
  virtual ~Errand() = default;
  // On the scheduler's thread: one piece of the work, as long as a step that reads `tokens` tokens. False:
  // there is nothing to do any more. Must not throw, and must not call the scheduler.
  virtual bool work(std::int64_t tokens) = 0;
};

}  // namespace medlar
