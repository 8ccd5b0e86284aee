// Which rows a kernel call multiplies with matrices of weights.
#pragma once

#include "runtime/backend.h"
#include "runtime/cpu/lower.h"

namespace medlar::runtime::cpu {

// Tells of each row of the call, whose input is ready, as f32; of no rows where the call is no product.
void tell_products(const StepCall& call, const kernels::Step& step, const ProductObserver& observer);

}  // namespace medlar::runtime::cpu
