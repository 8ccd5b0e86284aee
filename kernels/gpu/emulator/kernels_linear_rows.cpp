// The linear_rows kernels, compiled for the emulator.
#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"
#include "kernels/gpu/linear_rows.h"

#define ROWS_DEFINE(file, threads, shared, name, ...) MEDLAR_EMULATOR_DEFINE(file, threads, name, __VA_ARGS__)
#define ROWS_BIND(file, threads, shared, name, ...) MEDLAR_EMULATOR_BIND(file, threads, name, __VA_ARGS__)

MEDLAR_GPU_LINEAR_ROWS_KERNELS(ROWS_DEFINE)

namespace medlar::emulator {

std::span<const EmulatedKernel> linear_rows_kernels() {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_LINEAR_ROWS_KERNELS(ROWS_BIND)};
  return kKernels;
}

}  // namespace medlar::emulator
