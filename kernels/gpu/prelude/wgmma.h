// The words of kernels for NVIDIA's matrix unit of compute capability 9.0: barriers in threadgroup memory
// that count arrivals and bytes, copies that arrive at them, and products of a group of four simdgroups with
// both operands in threadgroup memory. Only CUDA for sm_90a and the emulator have them (GK_WGMMA); for others
// a kernel of these words is no text.
#pragma once

#include "kernels/gpu/prelude/prelude.h"

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define GK_WGMMA
#include "kernels/gpu/prelude/wgmma_cuda.h"
#endif
#elif !defined(__METAL_VERSION__) && !defined(__OPENCL_CPP_VERSION__)
#define GK_WGMMA
#include "kernels/gpu/prelude/wgmma_emulator.h"
#endif
