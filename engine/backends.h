// The devices of this machine as backends, made when they are first asked for. Internal to engine/.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "engine/engine.h"
#include "runtime/backend.h"

namespace medlar {

class Backends {
 public:
  // `options.device` is not automatic. Throws Error(device) where it cannot be used.
  runtime::Backend& get(const EngineOptions& options, int threads);
  // The one that get() gave last, for keeps.
  std::unique_ptr<runtime::Backend> take() &&;
  // What Device::automatic may mean here, the best first; the processor, which is always there, is the last.
  std::vector<Device> automatic();

 private:
  struct Entry {
    Device device;
    int threads;  // of the processor
    std::unique_ptr<runtime::Backend> backend;
  };
  // The device's entry, moved to the end; null: none yet.
  runtime::Backend* find(Device device, int threads);

  std::vector<Entry> entries_;    // the last is the one that was used last
  std::set<Device> unavailable_;  // of those that automatic() would take
};

}  // namespace medlar
