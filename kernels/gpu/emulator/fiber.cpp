#include "kernels/gpu/emulator/fiber.h"

#include <cstdint>
#include <cstring>

#include "kernels/gpu/emulator/sanitizers.h"

// Pushes the registers that a call preserves, stores the stack pointer in *save, takes `to` for the stack
// pointer, pops the registers again and returns to whoever switched away there.
extern "C" void medlar_switch_stack(void** save, void* to) asm("medlar_switch_stack");

#if defined(__x86_64__)
asm(R"(
  .text
  .globl medlar_switch_stack
medlar_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl medlar_switch_stack
  .p2align 2
medlar_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
#else
#error "the emulator's stack switch is written for x86-64 and aarch64"
#endif

namespace medlar::emulator {
namespace {

// Lays out what medlar_switch_stack pops, with `entry` as the return address.
void* first_frame(std::uintptr_t top, void (*entry)()) {
#if defined(__x86_64__)
  constexpr std::size_t kSavedBytes = 6 * 8, kReturnAt = 6 * 8,
                        kAboveReturn = 16;  // entry sees rsp = 8 mod 16
#else
  constexpr std::size_t kSavedBytes = 160, kReturnAt = 88, kAboveReturn = 0;
#endif
  auto* frame = reinterpret_cast<std::byte*>(top - kSavedBytes - kAboveReturn);
  std::memset(frame, 0, kSavedBytes + kAboveReturn);
  std::memcpy(frame + kReturnAt, &entry, sizeof entry);
  return frame;
}

}  // namespace

void prepare(Fiber& fiber, std::span<std::byte> stack, std::size_t stagger, void (*entry)()) {
  const auto end = reinterpret_cast<std::uintptr_t>(stack.data() + stack.size());
#ifdef MEDLAR_EMULATOR_ASAN
  __asan_unpoison_memory_region(stack.data(), stack.size());  // frames that were abandoned left their fences
#endif
  fiber.stack = stack;
  fiber.stack_pointer = first_frame((end - stagger) & ~std::uintptr_t{63}, entry);
  fiber.asan_bottom = stack.data();
  fiber.asan_size = stack.size();
#ifdef MEDLAR_EMULATOR_TSAN
  if (!fiber.tsan) fiber.tsan = __tsan_create_fiber(0);
#endif
}

void switch_fiber(Fiber& from, Fiber& to) {
#ifdef MEDLAR_EMULATOR_TSAN
  constexpr unsigned kNoSynchronisation = 1;
  if (!from.tsan) from.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.tsan, kNoSynchronisation);
#endif
#ifdef MEDLAR_EMULATOR_ASAN
  __sanitizer_start_switch_fiber(&from.asan_frames, to.asan_bottom, to.asan_size);
#endif
  medlar_switch_stack(&from.stack_pointer, to.stack_pointer);
#ifdef MEDLAR_EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(from.asan_frames, nullptr, nullptr);
#endif
}

void fiber_started(Fiber& from) {
#ifdef MEDLAR_EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &from.asan_bottom, &from.asan_size);
#else
  static_cast<void>(from);
#endif
}

void retire(Fiber& fiber) {
#ifdef MEDLAR_EMULATOR_TSAN
  if (fiber.tsan) __tsan_destroy_fiber(fiber.tsan);
#endif
  fiber = {};
}

}  // namespace medlar::emulator
