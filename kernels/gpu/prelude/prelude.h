// The vocabulary that GPU kernels are written in. One kernel source is Metal, CUDA, C++ for the emulator, and
// OpenCL C++ for a syntax check; each dialect says here what the words mean. docs/gpu-kernels.md lists the
// words and the rules; METAL_PRECEDENTS.md says for every Metal construct where else it is used.
#pragma once

#if defined(__METAL_VERSION__)
#include "kernels/gpu/prelude/metal.h"
#elif defined(__CUDACC__) || defined(__CUDACC_RTC__)
#include "kernels/gpu/prelude/cuda.h"
#elif defined(__OPENCL_CPP_VERSION__)
#include "kernels/gpu/prelude/lint.h"
#else
#include "kernels/gpu/prelude/emulator.h"
#endif
