// Lowering of products of many rows: by tiles of 64 x 64, or, on a device with such a matrix unit, over
// weights that are unpacked first.
#pragma once

#include "ir/fuse.h"
#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

void emit_tiles(StepBuilder& b, const ir::LinearGroup& group, const LowerOptions& tuning);

}  // namespace medlar::runtime::gpu
