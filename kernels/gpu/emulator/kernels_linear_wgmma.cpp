// The kernels of the words of wgmma.h and those that make their operands, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/linear_wgmma.h"
#include "kernels/gpu/peak_wgmma.h"
#include "kernels/gpu/unpack.h"

#define WGMMA_DEFINE(file, threads, shared, name, ...) \
  MEDLAR_EMULATOR_DEFINE(file, threads, name, __VA_ARGS__)
#define WGMMA_BIND(file, threads, shared, name, ...) MEDLAR_EMULATOR_BIND(file, threads, name, __VA_ARGS__)

MEDLAR_GPU_UNPACK_KERNELS(MEDLAR_EMULATOR_DEFINE)
MEDLAR_GPU_WGMMA_KERNELS(WGMMA_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_wgmma_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_UNPACK_KERNELS(MEDLAR_EMULATOR_BIND)
                                                    MEDLAR_GPU_WGMMA_KERNELS(WGMMA_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
