#include "kernels/cpu/blas.h"

#if defined(__APPLE__)
#define ACCELERATE_NEW_LAPACK
#include <Accelerate/Accelerate.h>
#else
#include <cblas.h>
#endif

#include <vector>

#include "kernels/cpu/peak.h"

namespace medlar::kernels {

namespace {

// Threads share the work already. Before macOS 15 Accelerate decides by itself.
void stay_on_this_thread() {
#if defined(__APPLE__) && defined(__MAC_15_0)
  if (__builtin_available(macOS 15.0, *)) BLASSetThreading(BLAS_THREADING_SINGLE_THREADED);
#endif
}

}  // namespace

void sgemm(const Sgemm& a) {
  stay_on_this_thread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(a.rows), static_cast<int>(a.n),
              static_cast<int>(a.k), 1.0f, a.x, static_cast<int>(a.ldx), a.w, static_cast<int>(a.k),
              a.accumulate ? 1.0f : 0.0f, a.y, static_cast<int>(a.ldy));
}

namespace accelerate {

namespace {

constexpr std::int64_t kSide = 256;  // three such matrices stay in the second cache

void products(std::int64_t rounds) {
  const std::vector<float> a(kSide * kSide), b(a);
  std::vector<float> c(a);
  for (std::int64_t i = 0; i < rounds; i += kSide)
    sgemm({.x = a.data(),
           .ldx = kSide,
           .w = b.data(),
           .rows = kSide,
           .n = kSide,
           .k = kSide,
           .y = c.data(),
           .ldy = kSide,
           .accumulate = i > 0});
}

}  // namespace

// A round is one row of a product.
PeakLoops peak_loops() { return {.quantized = {products, 2 * kSide * kSide}, .f32 = {}}; }

}  // namespace accelerate

}  // namespace medlar::kernels
