// Fibers: stacks to run on and a switch between them that costs a few nanoseconds.
#pragma once

#include <cstddef>
#include <span>

namespace medlar::emulator {

// A stack and where it continues. The default one stands for the caller's own stack: switch away from it and
// back.
struct Fiber {
  void* stack_pointer = nullptr;  // while it does not run
  std::span<std::byte> stack;     // empty for the caller's own
  // Bookkeeping of the sanitizers; unused without them.
  void* asan_frames = nullptr;
  const void* asan_bottom = nullptr;
  std::size_t asan_size = 0;
  void* tsan = nullptr;
};

// Sets `fiber` up so that the next switch to it calls entry() on `stack`, which must outlive it. The top of
// the stack is moved down by `stagger` bytes: neighbours that start at equal offsets fight for the same cache
// sets. entry() must never return.
void prepare(Fiber& fiber, std::span<std::byte> stack, std::size_t stagger, void (*entry)());

// Saves the running stack in `from` and continues `to`. Returns when somebody switches to `from`.
void switch_fiber(Fiber& from, Fiber& to);

// To be called first thing in entry(); `from` is what switched to this fiber.
void fiber_started(Fiber& from);

// Frees what the sanitizers keep of a fiber that will not run again.
void retire(Fiber& fiber);

}  // namespace medlar::emulator
