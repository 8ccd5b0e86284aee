// What a process with a loaded model holds in memory, by category, and what of it is the device's.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/plan.h"

namespace medlar::host {

// Bytes.
struct MemoryNeed {
  std::int64_t weights_mapped = 0;    // of the file; clean pages, which the system may drop and read again
  std::int64_t weights_resident = 0;  // of them, those that must stay in memory for full speed
  std::int64_t kv = 0;                // when the context is full
  std::int64_t state = 0;             // of recurrent layers
  std::int64_t activations = 0;
  std::int64_t scratch = 0;
  std::int64_t draft = 0;     // all that a draft model needs
  std::int64_t cache = 0;     // prefixes kept in memory beside the KV cache
  std::int64_t overhead = 0;  // the program itself, vocabulary, page tables, slack of the allocator

  // What a GPU that has room for only so much holds: weights, cache and activations.
  struct OnDevice {
    Device device = Device::cuda;
    std::string name;
    std::int64_t layers = 0;
    std::int64_t weights = 0, needed = 0;
    runtime::DeviceMemory room;
  };
  std::vector<OnDevice> devices;
  std::int64_t apart = 0;  // of weights_resident, kv, state and activations, those in devices' own memory

  // What the machine must have: everything but the weights that are mapped and not read, and what is in a
  // device's own memory.
  std::int64_t total() const {
    return weights_resident + kv + state + activations - apart + scratch + draft + cache + overhead;
  }
  // That, and what is in devices' own memory.
  std::int64_t everywhere() const;
  // Whether there is room, with `more` bytes of weights than the model's own, in `limit` bytes of the
  // machine.
  bool fits(std::int64_t limit, std::int64_t more = 0) const;
  bool fits_devices(std::int64_t more = 0) const { return fullest(more).second <= 0; }
  // The device that lacks most, or has least to spare, and how many bytes it lacks; null: there is none.
  std::pair<const OnDevice*, std::int64_t> fullest(std::int64_t more = 0) const;

 private:
  // Of `more` bytes of weights, as many as a place has of each that there are.
  std::int64_t share(std::int64_t more, std::int64_t weights) const;
};

// `draft`: that of a second model which runs beside it; null: none.
MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft = nullptr);

}  // namespace medlar::host
