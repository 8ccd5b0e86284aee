// What attention and the kernel that joins its splits share.
#pragma once

#include "kernels/gpu/common.h"

// No logit: below every real one, and finite, so that differences are never NaN.
#define NO_LOGIT -1e38f

// 1 / (sum of all weights), with the sink's, relative to weights of exp(logit - top).
FN f32 normalizer(const CONSTANT AttentionParams& p, const DEVICE f32* sinks, u32 head, f32 top, f32 total) {
  if (!p.has_sinks) return 1.f / total;
  // A sink far above every key would overflow: then the keys weigh nothing.
  const f32 over = sinks[head] - top;
  return over > 80.f ? 0.f : 1.f / (total + g_exp(over));
}
