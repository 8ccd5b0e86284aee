// The linear_vec kernels and those of heads, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/head_linear.h"
#include "kernels/gpu/linear_vec.h"

MEDLAR_GPU_LINEAR_VEC_KERNELS(MEDLAR_EMULATOR_DEFINE)
MEDLAR_GPU_HEAD_LINEAR_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_vec_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_LINEAR_VEC_KERNELS(MEDLAR_EMULATOR_BIND)
                                                    MEDLAR_GPU_HEAD_LINEAR_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
