// Which buffers stay in memory while the GPU works. Without a residency set (macOS 15) the system decides for
// each list of commands anew; with one, pages are wired once, and can be evicted as soon as it is ended.
#pragma once

#include <mutex>
#include <vector>

#include "runtime/metal/system.h"

namespace medlar::runtime::metal {

// Any thread.
class Residency {
 public:
  // Both must outlive it.
  Residency(const System& system, Id queue) : system_(system), queue_(queue) {}
  ~Residency();
  Residency(const Residency&) = delete;
  Residency& operator=(const Residency&) = delete;

  void add(Id buffer);
  void remove(Id buffer);
  void begin();  // before commands are committed
  void end();    // when they are finished, and none will follow soon

 private:
  void make();

  const System& system_;
  const Id queue_;
  std::mutex mutex_;
  std::vector<Id> buffers_;
  Owned set_;             // made when work begins: null before, and on older systems
  bool changed_ = false;  // and not committed
  bool requested_ = false;
};

}  // namespace medlar::runtime::metal
