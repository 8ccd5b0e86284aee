// The Metal text of every kernel, compiled by clang over a stand-in for Metal's library, in place of the
// emulator's own kernels: linked with the kernel tests, it runs what a Mac would be given. See
// scripts/test-gpu.sh.
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/gpu/catalog.h"
#include "kernels/gpu/emulator/kernels.h"

#define __METAL_VERSION__ 310
#define TGARRAY(T, name, n)   \
  threadgroup T* const name = \
      (threadgroup T*)medlar::emulator::threadgroup_array(__COUNTER__, sizeof(T) * (n))
#define TGRING(name, bytes) \
  threadgroup u8* const name = (threadgroup u8*)medlar::emulator::threadgroup_array(-1, bytes)
#include "kernels.metal"

namespace medlar::emulator {
namespace {

template <auto kKernel>
struct MetalBound;

// Params&, buffers..., then the place in the grid: uint3, uint, uint, uint.
template <class Params, class... Rest, void (*kKernel)(Params, Rest...)>
struct MetalBound<kKernel> {
  static constexpr std::size_t kBuffers = sizeof...(Rest) - 4;
  static void run(const void* const* args) { run(args, std::make_index_sequence<kBuffers>()); }

 private:
  template <std::size_t... kIndex>
  static void run(const void* const* args, std::index_sequence<kIndex...>) {
    const ThreadPosition& at = position();
    const uint3 group = {at.group.x, at.group.y, at.group.z};
    kKernel(*(std::remove_reference_t<Params>*)args[0],
            (std::tuple_element_t<kIndex, std::tuple<Rest...>>)args[kIndex + 1]..., group, at.index, at.lane,
            at.simdgroup);
  }

 public:
  static constexpr std::uint32_t kParameterBytes = sizeof(std::remove_reference_t<Params>);
};

#define METAL_ENTRY(file, threads, name, ...)                                                     \
  EmulatedKernel{#name, &MetalBound<&::name>::run, threads, MetalBound<&::name>::kParameterBytes, \
                 static_cast<std::uint32_t>(MetalBound<&::name>::kBuffers)},

}  // namespace

const EmulatedKernel* find_kernel(std::string_view name) {
  static constexpr EmulatedKernel kKernels[] = {MEDLAR_GPU_KERNELS(METAL_ENTRY)};
  for (const EmulatedKernel& kernel : kKernels)
    if (kernel.name == name) return &kernel;
  return nullptr;
}

}  // namespace medlar::emulator
