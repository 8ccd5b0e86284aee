// The matrix unit: AMX's eight tile registers of 16 lines of 64 bytes (Intel, Software Developer's Manual,
// volume 1, chapter 18). With MEDLAR_EMULATED_TILES the same in plain code, so that what is built on it runs
// on processors without it.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr int64_t kTile = 16;         // lines of a tile, and floats of a line
inline constexpr int64_t kTileDepth = 32;    // bf16 values of a line
inline constexpr int64_t kTileBytes = 1024;  // lines lie one after the other
inline constexpr int64_t kTileFloats = 256;

#if !defined(MEDLAR_EMULATED_TILES)

// While one lives, this thread's tile registers are there, all of them whole.
class TileUnit {
 public:
  TileUnit() {
    struct alignas(64) Config {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t line_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t lines[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
  }
  ~TileUnit() { __asm__ volatile("tilerelease" : : : "memory"); }
  TileUnit(const TileUnit&) = delete;
  TileUnit& operator=(const TileUnit&) = delete;

  template <int kTo>
  MEDLAR_INLINE void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTo));
  }
  // 16 lines from p on, `stride` bytes apart.
  template <int kTo>
  MEDLAR_INLINE void load(const void* p, int64_t stride = 64) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kTo) : "memory");
  }
  template <int kFrom>
  MEDLAR_INLINE void store(void* p, int64_t stride = 64) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kFrom) : "memory");
  }
  // C += A B in f32. A: lines of 32 bf16; B: line i holds values 2i and 2i + 1 of each of 16 columns.
  template <int kC, int kA, int kB>
  MEDLAR_INLINE void multiply() {
    static_assert(kA != kB && kA != kC && kB != kC);
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
  }
};

#else

class TileUnit {
 public:
  template <int kTo>
  void zero() {
    memset(tiles_[kTo], 0, kTileBytes);
  }
  template <int kTo>
  void load(const void* p, int64_t stride = 64) {
    for (int i = 0; i < kTile; ++i)
      memcpy(tiles_[kTo] + 64 * i, static_cast<const char*>(p) + stride * i, 64);
  }
  template <int kFrom>
  void store(void* p, int64_t stride = 64) {
    for (int i = 0; i < kTile; ++i) memcpy(static_cast<char*>(p) + stride * i, tiles_[kFrom] + 64 * i, 64);
  }
  template <int kC, int kA, int kB>
  void multiply() {
    const __m512i high = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
    F even[kTile], odd[kTile];  // B's values 2i and 2i + 1
    for (int i = 0; i < kTile; ++i) {
      const __m512i pairs = _mm512_load_si512(tiles_[kB] + 64 * i);
      even[i] = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
      odd[i] = _mm512_castsi512_ps(_mm512_and_si512(pairs, high));
    }
    for (int m = 0; m < kTile; ++m) {
      F sums = _mm512_load_ps(tiles_[kC] + 64 * m);
      for (int i = 0; i < kTile; ++i) {
        int32_t pair;
        memcpy(&pair, tiles_[kA] + 64 * m + 4 * i, sizeof pair);
        const __m512i a = _mm512_set1_epi32(pair);
        sums = fma(_mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), even[i], sums);
        sums = fma(_mm512_castsi512_ps(_mm512_and_si512(a, high)), odd[i], sums);
      }
      _mm512_store_ps(tiles_[kC] + 64 * m, sums);
    }
  }

 private:
  alignas(64) unsigned char tiles_[8][kTileBytes];
};

#endif

// bf16(a[i]) and bf16(b[i]) by turns, rounded to nearest, ties away from zero.
MEDLAR_INLINE I bf16_pairs(F a, F b) {
  const I half = _mm512_set1_epi32(0x8000);
  const I low = _mm512_add_epi32(_mm512_castps_si512(a), half);
  const I high = _mm512_add_epi32(_mm512_castps_si512(b), half);
  return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(low, 16), high);
}

}  // namespace medlar::kernels::MEDLAR_ISA
