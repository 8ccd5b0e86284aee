// Mistakes that must not compile: each is alone behind its own macro. See scripts/test-gpu.sh.
#include "kernels/gpu/common.h"

FN f32 first(const DEVICE f32* x) { return x[0]; }

KERNEL(32) planted(IN(1, f32, x), OUT(2, f32, y) GRID) {
  GRID_BEGIN
  TGARRAY(f32, shared, 32);
  shared[gk_tid] = x[gk_tid];
#ifdef PLANTED_WRONG_ADDRESS_SPACE
  y[gk_tid] = first(shared);
#else
  y[gk_tid] = first(x);
#endif
#ifdef PLANTED_FUNCTION_POINTER
  f32 (*function)(const DEVICE f32*) = first;
  y[gk_tid] = function(x);
#endif
#ifdef PLANTED_DOUBLE
  y[gk_tid] = (f32)((double)x[0] * 2);
#endif
#ifdef PLANTED_THREADGROUP_ARRAY_IN_BLOCK
  if (gk_tid == 0) {
    TGARRAY(f32, inner, 32);
    inner[0] = 1.f;
  }
#endif
}

#ifdef PLANTED_NO_ADDRESS_SPACE
FN f32 second(const f32* x) { return x[0]; }
#endif
