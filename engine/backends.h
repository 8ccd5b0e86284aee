// The devices of this machine as backends, made when they are first asked for. Internal to engine/.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "engine/engine.h"
#include "runtime/backend.h"

namespace medlar {

// Who runs what is on the processor.
struct Processor {
  int threads = 1;
  std::shared_ptr<Team> team;  // null: threads of its own, so many
};

class Backends {
 public:
  // `device` is not automatic; `number`: which of its kind. Throws Error(device) where it cannot be used.
  std::shared_ptr<runtime::Backend> get(Device device, const Processor& processor = {}, int number = 0);
  // How many of a kind there are. Throws Error(device) where none can be used.
  int count(Device device);
  // What Device::automatic may mean here, the best first; the processor, which is always there, is the last.
  std::vector<Device> automatic();

 private:
  struct Entry {
    Device device;
    int number;
    int threads;  // of the processor
    std::shared_ptr<runtime::Backend> backend;
  };

  std::vector<Entry> entries_;
  std::set<Device> unavailable_;  // of those that automatic() would take
};

}  // namespace medlar
