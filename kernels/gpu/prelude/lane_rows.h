// The words of kernels that make operands of the matrix unit from what their lanes hold: for devices where
// that takes no exchange between lanes. CUDA and the emulator have them (GK_LANE_ROWS); for others a kernel
// of these words is no text.
//
//   mma_rows_a(a, near, far)   16 rows x 32 columns as two operands: lane l brings eight neighbouring f16 of
//   rows l / 4 mma_rows_b(b, near, far)   and l / 4 + 8, in four words each, from column 8 (l % 4) on. b: the
//   transposed matrix. The
//                              columns come in an order of the device's choice, the same for both
//   f16_affine(bytes, s, m, out)   four f16, byte * s - m, rounded once; s and m twice in their words
//   f16_scaled(integers, factors)  two f16, the products of the halves of both words; integers below 1024
#pragma once

#include "kernels/gpu/prelude/prelude.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define GK_LANE_ROWS
#include "kernels/gpu/prelude/lane_rows_cuda.h"
#elif !defined(__METAL_VERSION__) && !defined(__OPENCL_CPP_VERSION__)
#define GK_LANE_ROWS
#include "kernels/gpu/prelude/lane_rows_emulator.h"
#endif
