// The attention kernels, compiled for the emulator.
#include "kernels/gpu/attention.h"
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/flash_attention.h"

MEDLAR_GPU_ATTENTION_KERNELS(MEDLAR_EMULATOR_DEFINE)
MEDLAR_GPU_FLASH_KERNELS(MEDLAR_EMULATOR_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> attention_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_ATTENTION_KERNELS(MEDLAR_EMULATOR_BIND)
                                                    MEDLAR_GPU_FLASH_KERNELS(MEDLAR_EMULATOR_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
