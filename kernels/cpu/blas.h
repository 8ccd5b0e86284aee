// The system's product of f32 matrices: Accelerate on macOS; elsewhere any CBLAS, which tests use.
#pragma once

#include <cstdint>

namespace medlar::kernels {

// y[m * ldy + j] = sum of x[m * ldx + i] * w[j * k + i] over i < k, plus what y has if `accumulate`;
// for m < rows and j < n. On the calling thread alone, where the library can be told so.
struct Sgemm {
  const float* x;
  std::int64_t ldx;
  const float* w;
  std::int64_t rows, n, k;
  float* y;
  std::int64_t ldy;
  bool accumulate;
};
void sgemm(const Sgemm& a);

}  // namespace medlar::kernels
