// The products with stacked matrices, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/expert_tile.h"
#include "kernels/gpu/expert_vec.h"

MEDLAR_GPU_EXPERT_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> expert_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_EXPERT_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
