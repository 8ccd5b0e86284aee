// The linear_few kernels, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/linear_few.h"

MEDLAR_GPU_LINEAR_FEW_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_few_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_LINEAR_FEW_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
