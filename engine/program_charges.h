// What a program and the pages of its cache take of a ledger. Internal to engine/.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ledger.h"
#include "engine/page_tree.h"
#include "runtime/backend.h"

namespace medlar {

class ProgramCharges {
 public:
  // A program has only reserved its memory until its first step. `device`: what the device takes is charged
  // to, which may be the same; `weights`: bytes of the file that nobody else is charged for; `groups`: of the
  // cache. Throws Error(out_of_memory).
  ProgramCharges(Ledger& ledger, Ledger& device, const runtime::Program& program, std::int64_t weights,
                 int groups);

  // After a step: what is in use now.
  void note(const PageTree& tree);
  // After pages changed without one.
  void note_pages(const PageTree& tree);
  // The weights' pages went back to the system. Any thread.
  void rest() { weights_.set_used(0); }

 private:
  std::vector<std::int64_t> page_bytes_;  // of each group
  std::int64_t weight_bytes_, activation_bytes_, scratch_bytes_;
  Ledger::Charge weights_, kv_, cache_, activations_, scratch_;
};

}  // namespace medlar
