// Lowering of mixtures of experts: which experts a row uses is known on the device only, so the grids have
// room for whatever may be chosen.
#pragma once

#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

void emit_route(StepBuilder& b, ir::Value route);

// `result`: the experts' value or, with a residual, its sum with that.
void emit_experts(StepBuilder& b, ir::Value experts, ir::Value residual, ir::Value result);

}  // namespace medlar::runtime::gpu
