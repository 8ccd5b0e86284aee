// What a process with a loaded model holds in memory, by category.
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

  // What the machine must have: everything but the weights that are mapped and not read.
  std::int64_t total() const {
    return weights_resident + kv + state + activations + scratch + draft + cache + overhead;
  }
};

// `draft`: that of a second model which runs beside it; null: none.
MemoryNeed memory_need(const ModelPlan& plan, const ModelPlan* draft = nullptr);

}  // namespace medlar::host
