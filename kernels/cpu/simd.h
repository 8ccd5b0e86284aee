// The vector vocabulary of the kernels. A source that includes this is compiled once for each instruction
// set, with MEDLAR_ISA naming both the Isa and the namespace that everything in it lives in, and with that
// set's compiler flags. Because the linker keeps one copy of an inline function, such a source uses no inline
// function of another namespace (the standard library's included) that could be compiled with those flags and
// shared.
//
// Each simd_*.h provides, in its namespace:
//   F, kLanes                 a vector of floats; +, -, *, / work on it
//   I                         as many 32-bit integers
//   Full, Some                tags: all lanes, or the first `count` of them (the rest load as 0)
//   load, store, splat, fma(a, b, c) = a * b + c, fnma = c - a * b, sqrt and so on, as declared there
#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/args.h"
#include "kernels/step.h"
#include "kernels/table.h"

#define MEDLAR_INLINE inline __attribute__((always_inline))
// Before a loop whose index selects registers: unrolls it whole.
#if defined(__clang__)
#define MEDLAR_UNROLL _Pragma("clang loop unroll(full)")
#else
#define MEDLAR_UNROLL _Pragma("GCC unroll 16")
#endif

namespace medlar::kernels::MEDLAR_ISA {

// The first `count` lanes of a vector.
struct Some {
  int count;
};

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

MEDLAR_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
MEDLAR_INLINE int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }

// The slice's contiguous share of n items, in whole multiples of `granule` but for the last.
MEDLAR_INLINE Range share(int64_t n, int64_t granule, const Slice& slice) {
  const int64_t granules = (n + granule - 1) / granule;
  return {least(n, granules * slice.index / slice.count * granule),
          least(n, granules * (slice.index + 1) / slice.count * granule)};
}

}  // namespace medlar::kernels::MEDLAR_ISA

#if defined(MEDLAR_ISA_AVX512) || defined(MEDLAR_ISA_AMX)
#include "kernels/cpu/simd_avx512.h"
#elif defined(MEDLAR_ISA_AVX2) || defined(MEDLAR_ISA_AVX2_VNNI)
#include "kernels/cpu/simd_avx2.h"
#elif defined(MEDLAR_ISA_NEON) || defined(MEDLAR_ISA_NEON_I8MM)
#include "kernels/cpu/simd_neon.h"
#else
#include "kernels/cpu/simd_scalar.h"
#endif

namespace medlar::kernels::MEDLAR_ISA {

// Calls fn(i, Full) for whole vectors and fn(i, Some) for what is left of [begin, end).
template <class Fn>
MEDLAR_INLINE void each(Range range, Fn fn) {
  int64_t i = range.begin;
  for (; range.end - i >= kLanes; i += kLanes) fn(i, Full{});
  if (i < range.end) fn(i, Some{static_cast<int>(range.end - i)});
}

}  // namespace medlar::kernels::MEDLAR_ISA
