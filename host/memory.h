// What a process with a loaded model holds in memory, by category, and what of it is the device's.
#pragma once

#include <cstdint>

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

  std::int64_t on_device = 0;  // of a GPU that has room for only so much: weights, cache and activations
  runtime::DeviceMemory device;

  // What the machine must have: everything but the weights that are mapped and not read, and what is in a
  // device's own memory.
  std::int64_t total() const {
    return (device.apart ? 0 : weights_resident + kv + state + activations) + scratch + draft + cache +
           overhead;
  }
  // That, and what is in a device's own memory.
  std::int64_t everywhere() const { return total() + (device.apart ? on_device : 0); }
  // Whether there is room, with `more` bytes of weights than the model's own, in `limit` bytes of the
  // machine.
  bool fits(std::int64_t limit, std::int64_t more = 0) const {
    return total() + (device.apart ? 0 : more) <= limit && fits_device(more);
  }
  bool fits_device(std::int64_t more = 0) const {
    return device.available == 0 || on_device + more <= device.available;
  }
};

// `draft`: that of a second model which runs beside it; null: none.
MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft = nullptr);

}  // namespace medlar::host
