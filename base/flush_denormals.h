// Denormal floats as zeros: arithmetic on them takes some processors 150 cycles, and means nothing in a
// model.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace medlar {

// For the thread that makes it, while it lives. Does nothing on other processors than x86-64 and AArch64.
class FlushDenormals {
 public:
  FlushDenormals() : before_(mode()) { set_mode(before_ | kFlush); }
  ~FlushDenormals() { set_mode(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr std::uint64_t kFlush = 0x8040;  // MXCSR: FTZ, DAZ
  static std::uint64_t mode() { return _mm_getcsr(); }
  static void set_mode(std::uint64_t m) { _mm_setcsr(static_cast<unsigned>(m)); }
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;  // FPCR: FZ
  static std::uint64_t mode() {
    std::uint64_t m = 0;
    asm volatile("mrs %0, fpcr" : "=r"(m));
    return m;
  }
  static void set_mode(std::uint64_t m) { asm volatile("msr fpcr, %0" : : "r"(m)); }
#else
  static constexpr std::uint64_t kFlush = 0;
  static std::uint64_t mode() { return 0; }
  static void set_mode(std::uint64_t) {}
#endif
  std::uint64_t before_;
};

}  // namespace medlar
