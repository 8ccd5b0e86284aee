// Ctrl-C as a flag: the first one asks the work in progress to stop, the second one ends the program.
#pragma once

#include <atomic>

namespace medlar::cli {

// Catches SIGINT while it lives. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // Set by Ctrl-C; may be watched from any thread.
  const std::atomic<bool>& flag() const;
  bool requested() const { return flag().load(); }
  void clear();
};

}  // namespace medlar::cli
