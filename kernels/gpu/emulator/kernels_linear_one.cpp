// The linear_one kernels, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/linear_one.h"

MEDLAR_GPU_LINEAR_ONE_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_one_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_LINEAR_ONE_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
