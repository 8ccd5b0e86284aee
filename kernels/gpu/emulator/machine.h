// The emulator: runs a kernel's threadgroups on the CPU, one fiber a GPU thread. A barrier is a yield;
// collectives meet; and what a GPU leaves undefined is made to hurt: threadgroup memory starts as NaN,
// threads run in an order of the caller's choice, and matrix fragments are laid out as the caller says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "kernels/gpu/emulator/group.h"
#include "kernels/gpu/emulator/phases.h"

namespace medlar::emulator {

// In which order threads (and threadgroups) run where the kernel leaves it open.
enum class Order : std::uint8_t { forward, reverse, shuffled };

// Layouts of a matrix fragment: that of Apple's 8x8 simdgroup matrices, that of CUDA's m16n8k16, and one that
// is nobody's.
enum class FragmentLayout : std::uint8_t { metal, cuda, scrambled };

struct MachineOptions {
  Order order = Order::forward;
  std::uint64_t seed = 1;  // of shuffled
  FragmentLayout fragments = FragmentLayout::scrambled;
  std::size_t threadgroup_bytes = 32 << 10;  // what a threadgroup may have
};

// A kernel bound to its arguments: args[0] is the parameter block, args[i] buffer i.
using KernelFn = void (*)(const void* const* args);

struct Launch {
  std::string_view kernel;  // for messages
  KernelFn run = nullptr;
  const void* const* args = nullptr;
  Extent grid;                // threadgroups
  std::uint32_t threads = 0;  // a threadgroup; a multiple of 32, at most 1024
  // Called with true before a threadgroup starts, with false when all its threads have called
  // wait_previous(): in between, earlier dispatches may still run, and the caller hides their memory. Then it
  // is a fault to meet others, or to end, without having waited.
  std::function<void(bool)> previous = nullptr;
  std::size_t large_bytes = kLargeBytes;  // of large threadgroup memory, as the host would give it
};

struct LaunchCounts {
  std::uint64_t switches = 0, barriers = 0, collectives = 0;
  std::size_t threadgroup_bytes = 0;  // what one threadgroup used
};

class Scheduler;

// One launch at a time, from any one thread. Move-only.
class Machine {
 public:
  explicit Machine(const MachineOptions& options = {});
  ~Machine();
  Machine(Machine&&) noexcept;
  Machine& operator=(Machine&&) noexcept;

  // Runs the whole grid and returns. Throws Error(device) naming the kernel, the thread and the source line
  // when threads diverge at a barrier or collective, one ends while others wait, or threadgroup memory is
  // overrun.
  LaunchCounts run(const Launch& launch);

 private:
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace medlar::emulator
