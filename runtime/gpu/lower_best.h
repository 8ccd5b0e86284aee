// Lowering of what only the host asks for: the best of each row of logits (best_logits.h).
#pragma once

#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

// (R, kBest) TokenLogits.
Region emit_best(StepBuilder& b, ir::Value logits);

}  // namespace medlar::runtime::gpu
