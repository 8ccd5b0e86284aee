// The linear_tile kernels, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/linear_tile.h"

MEDLAR_GPU_LINEAR_TILE_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_tile_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_LINEAR_TILE_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
