// The logits of one row of a step: all of them, or only the best where the device has found those, which
// saves reading the others. Internal to engine/.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/backend.h"

namespace medlar {

// Valid until the program's next step.
class RowLogits {
 public:
  RowLogits(const runtime::Program& program, std::int32_t row) : program_(&program), row_(row) {}

  std::span<const float> all() const { return program_->logits(row_); }
  // As Program::best() says.
  std::span<const runtime::TokenLogit> best() const { return program_->best(row_); }

 private:
  const runtime::Program* program_;
  std::int32_t row_;
};

}  // namespace medlar
