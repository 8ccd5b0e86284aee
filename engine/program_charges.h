// What a program and the pages of its cache take of ledgers. Internal to engine/.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/ledger.h"
#include "engine/device_ledgers.h"
#include "engine/page_tree.h"
#include "runtime/backend.h"

namespace medlar {

// Where memory is charged.
struct Ledgers {
  std::shared_ptr<Ledger> machine;
  std::shared_ptr<DeviceLedgers> devices;

  Ledger& of(const runtime::DeviceMemory& memory) const {
    return memory.apart ? *devices->of(memory.number) : *machine;
  }
};

class ProgramCharges {
 public:
  struct Shape {
    std::vector<runtime::DeviceMemory> memories;  // of the program's parts
    int groups = 0;                               // of the cache
    bool weights = true;                          // false: somebody else is charged for them
  };
  // A program has only reserved its memory until its first step. Throws Error(out_of_memory).
  ProgramCharges(const Ledgers& ledgers, const runtime::Program& program, const Shape& shape);

  // After a step: what is in use now.
  void note(const PageTree& tree);
  // After pages changed without one.
  void note_pages(const PageTree& tree);
  // The mapped weights' pages went back to the system. Any thread.
  void rest();

 private:
  // What is on one device.
  struct Part {
    std::vector<std::int64_t> page_bytes;  // of each group
    bool apart = false;
    std::int64_t weight_bytes = 0, activation_bytes = 0, scratch_bytes = 0;
    Ledger::Charge weights, kv, cache, activations, scratch;

    void note_pages(const PageTree& tree);
  };
  std::vector<Part> parts_;
};

}  // namespace medlar
