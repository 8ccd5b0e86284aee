// Kernels as the emulator calls them: by an array of argument addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kernels/gpu/emulator/machine.h"

namespace medlar::emulator {

struct EmulatedKernel {
  std::string_view name;
  KernelFn run = nullptr;
  std::uint32_t threads = 0;          // a threadgroup
  std::uint32_t parameter_bytes = 0;  // of args[0]
  std::uint32_t buffers = 0;          // args[1] .. args[buffers]
  std::uint32_t written = 0;          // bit i: args[i] is an output
};

template <auto kKernel>
struct Bound;

// A kernel takes its parameters by reference and its buffers by pointer; argument i is [[buffer(i)]] of a
// GPU.
template <class Params, class... Elements, void (*kKernel)(const Params&, Elements*...)>
struct Bound<kKernel> {
  static constexpr std::uint32_t kParameterBytes = sizeof(Params);
  static constexpr std::uint32_t kBuffers = sizeof...(Elements);

  static constexpr std::uint32_t written() {
    std::uint32_t bits = 0, i = 0;
    ((++i, bits |= std::is_const_v<Elements> ? 0U : 1U << i), ...);
    return bits;
  }

  static void run(const void* const* args) { run(args, std::make_index_sequence<sizeof...(Elements)>()); }

 private:
  template <std::size_t... kIndex>
  static void run(const void* const* args, std::index_sequence<kIndex...>) {
    // Casts between the host's one address space and the kernels'; the host's const is not theirs.
    kKernel(*(const Params*)args[0], (Elements*)args[kIndex + 1]...);
  }
};

template <auto kKernel>
constexpr EmulatedKernel bind(std::string_view name, std::uint32_t threads) {
  using B = Bound<kKernel>;
  return {name, &B::run, threads, B::kParameterBytes, B::kBuffers, B::written()};
}

// Visits of a list of kernels/gpu/catalog.h: define the kernels, and list them bound.
#define MEDLAR_EMULATOR_DEFINE(file, threads, name, ...) __VA_ARGS__
#define MEDLAR_EMULATOR_BIND(file, threads, name, ...) ::medlar::emulator::bind<&::name>(#name, threads),

}  // namespace medlar::emulator
