// Which keys of its sequence a token sees: those up to it, or, where attention is not causal, those up to the
// last of its sequence in the step; within a window, if there is one.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

MEDLAR_INLINE int64_t first_key(const AttentionArgs& a, int64_t position) {
  return a.window > 0 ? greatest(0, position - a.window + 1) : 0;
}

// The last key that a token at `position` sees.
MEDLAR_INLINE int64_t last_key(const AttentionArgs& a, int64_t position, int64_t run_last) {
  if (a.causal) return position;
  return a.window > 0 ? least(run_last, position + a.window - 1) : run_last;
}

// Position of the last token of the sequence of token t, whose tokens lie one behind the other.
MEDLAR_INLINE int64_t last_of_run(const Step& step, int64_t t) {
  while (t + 1 < step.tokens && step.sequences[t + 1] == step.sequences[t]) ++t;
  return step.positions[t];
}

}  // namespace medlar::kernels::MEDLAR_ISA
