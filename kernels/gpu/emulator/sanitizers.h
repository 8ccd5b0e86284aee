// Which sanitizer the emulator is built for, and the calls that tell it what fibers, barriers and arrays are.
// MEDLAR_EMULATOR_TSAN is set by the build: under ThreadSanitizer the kernels are instrumented, but the
// emulator is not, so that only the kernels' own accesses are judged.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define MEDLAR_EMULATOR_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEDLAR_EMULATOR_ASAN
#endif
#endif

#ifdef MEDLAR_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MEDLAR_EMULATOR_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace medlar::emulator {

// What happened before release(p) is ordered before what follows acquire(p).
inline void tsan_release([[maybe_unused]] void* p) {
#ifdef MEDLAR_EMULATOR_TSAN
  __tsan_release(p);
#endif
}
inline void tsan_acquire([[maybe_unused]] void* p) {
#ifdef MEDLAR_EMULATOR_TSAN
  __tsan_acquire(p);
#endif
}

}  // namespace medlar::emulator
