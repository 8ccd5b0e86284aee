// The meaning of every kernel, in plain scalar C++. Written to be read and to be exact, not fast: sums run in
// double, weights are decoded by formats/, and a reference may allocate, which other kernels may not.
#pragma once

#include <span>

#include "kernels/table.h"

namespace medlar::kernels {

// One entry for each operation, and one rows_dot, embed, attention and KV write for each type they take. The
// references take activations as ActKind::f32 only. Slice 0 does all the work; the others return at once.
std::span<const KernelEntry> ref_entries();

// Throws nothing; the entry must exist.
const KernelEntry& ref_entry(KernelOp op, DType type = DType::f32);

}  // namespace medlar::kernels
