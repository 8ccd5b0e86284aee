// The vocabulary in C++, over the emulator: kernels become functions of the host that run one GPU thread
// each. With MEDLAR_GPU_ADDRESS_SPACES (clang only) a pointer into the wrong memory does not compile.
#pragma once

#include <cmath>

#include "formats/portable.h"
#include "kernels/gpu/emulator/group.h"
#include "kernels/gpu/types.h"

#ifdef MEDLAR_GPU_ADDRESS_SPACES
#define DEVICE __attribute__((address_space(1)))
#define CONSTANT __attribute__((address_space(2)))
#define TGMEM __attribute__((address_space(3)))
// The formats' text as a GPU gets it.
#undef MEDLAR_HOST
#undef MEDLAR_DEVICE
#undef MEDLAR_TABLE
#define MEDLAR_DEVICE DEVICE
#define MEDLAR_TABLE(T, name, n) static const CONSTANT T name[n]
#else
#define DEVICE
#define CONSTANT
#define TGMEM
#endif
#define THREAD
#define FN inline
#define UNROLL
#define NO_UNROLL
#define KERNEL(threads) static void
#define KERNEL_RESIDENT(threads, groups) KERNEL(threads)
#define PARAMS(T, p) const CONSTANT T& p
#define IN(i, T, x) const DEVICE T* x
#define OUT(i, T, x) DEVICE T* x
#define GRID
#define GRID_BEGIN \
  launch_next();   \
  wait_previous(); \
  GRID_BEGIN_EARLY
#define GRID_BEGIN_EARLY                                                        \
  const medlar::emulator::ThreadPosition& gk_at = medlar::emulator::position(); \
  [[maybe_unused]] const medlar::emulator::Extent gk_tgid = gk_at.group;        \
  [[maybe_unused]] const u32 gk_tid = gk_at.index, gk_lane = gk_at.lane, gk_sg = gk_at.simdgroup;
#define TGARRAY(T, name, n) \
  TGMEM T* const name = (TGMEM T*)medlar::emulator::threadgroup_array(__COUNTER__, sizeof(T) * (n))
#define TGRING(name, bytes) TGMEM u8* const name = (TGMEM u8*)medlar::emulator::threadgroup_array(-1, bytes)

enum class f16 : u16 {};  // a scalar, so that it can be assigned in any address space
struct alignas(16) f32x4 {
  f32 x, y, z, w;
};
// The calling line: barriers and collectives are told apart by it.
#define GK_LINE int line = __builtin_LINE()

FN void wait_previous() { medlar::emulator::wait_previous(); }
FN void launch_next() {}
FN void tg_barrier(GK_LINE) { medlar::emulator::barrier(line); }
FN void simd_fence(GK_LINE) { medlar::emulator::meet({medlar::emulator::Collective::fence, line}); }

FN u32 bits_u32(f32 v) { return medlar::formats::bits_u32(v); }
FN f32 bits_f32(u32 v) { return medlar::formats::bits_f32(v); }
FN f32 f16_bits_to_f32(u16 v) { return medlar::formats::f16_bits_to_f32(v); }
FN f32 to_f32(f16 h) { return medlar::formats::f16_bits_to_f32(static_cast<u16>(h)); }
FN f16 to_f16(f32 v) { return static_cast<f16>(medlar::formats::f32_to_f16_bits(v)); }

// Two neighbouring f16, the first in the low half.
FN u32 f16_pair(f32 a, f32 b) { return (u32)to_f16(a) | (u32)to_f16(b) << 16; }
// Four f16: (byte - bias) * scale, for a bias of up to 1023 and a scale that is an f16's bits.
FN void f16_bytes(u32 bytes, u32 bias, u16 scale, THREAD u32* out) {
  const f32 factor = f16_bits_to_f32(scale);
  for (u32 i = 0; i < 2; ++i)
    out[i] = f16_pair((f32)((i32)(bytes >> 16 * i & 255u) - (i32)bias) * factor,
                      (f32)((i32)(bytes >> (16 * i + 8) & 255u) - (i32)bias) * factor);
}

FN f32x4 ld_f32x4(const DEVICE f32* p) { return f32x4{p[0], p[1], p[2], p[3]}; }

FN void ld_u32x4(const DEVICE u8* p, THREAD u32* out) {
  struct alignas(16) Words {
    u32 w[4];
  };
  const DEVICE Words* from = (const DEVICE Words*)p;
  for (u32 i = 0; i < 4; ++i) out[i] = from->w[i];
}
FN void st_u32x4(TGMEM f16* p, const THREAD u32* v) {
  for (u32 i = 0; i < 8; ++i) p[i] = static_cast<f16>((u16)(v[i / 2] >> i % 2 * 16));
}
FN void st_u32x4(DEVICE u8* p, const THREAD u32* v) {
  struct alignas(16) Words {
    u32 w[4];
  };
  DEVICE Words* to = (DEVICE Words*)p;
  for (u32 i = 0; i < 4; ++i) to->w[i] = v[i];
}
// Weights: nobody writes them, so these may stand before wait_previous().
FN void ld_weight_u32x4(const DEVICE u8* p, THREAD u32* out) { ld_u32x4(p, out); }
FN u32 ld_weight_u16(const DEVICE u8* p) { return *(const DEVICE u16*)p; }
FN u32 ld_weight_u32(const DEVICE u8* p) { return *(const DEVICE u32*)p; }
// n words with `bytes` bytes from p on in them, at bit weight_shift(p) of the first.
FN void ld_weight_words(const DEVICE u8* p, THREAD u32* out, u32 n, u32 bytes) {
  UNROLL for (u32 i = 0; i < n; ++i) {
    out[i] = 0;
    UNROLL for (u32 j = i * 4; j < i * 4 + 4; ++j) out[i] |= j < bytes ? (u32)p[j] << j % 4 * 8 : 0u;
  }
}
FN u32 weight_shift(const DEVICE u8*) { return 0; }
// Bits shift, shift + 1, ... of two words, for shifts of up to 32.
FN u32 shifted_word(const THREAD u32* w, u32 shift) {
  return shift == 0 ? w[0] : shift == 32 ? w[1] : w[0] >> shift | w[1] << (32 - shift);
}

// Weights that ring_copy has brought.
FN void ld_staged_u32x4(const TGMEM u8* p, THREAD u32* out) {
  UNROLL for (u32 i = 0; i < 4; ++i) out[i] = ((const TGMEM u32*)p)[i];
}
FN u32 ld_staged_u32(const TGMEM u8* p) { return *(const TGMEM u32*)p; }
FN u32 ld_staged_u16(const TGMEM u8* p) { return *(const TGMEM u16*)p; }
FN u32 staged_shift(const TGMEM u8*) { return 0; }
FN void ld_staged_words(const TGMEM u8* p, THREAD u32* out, u32 n, u32 bytes) {
  UNROLL for (u32 i = 0; i < n; ++i) {
    out[i] = 0;
    UNROLL for (u32 j = i * 4; j < i * 4 + 4; ++j) out[i] |= j < bytes ? (u32)p[j] << j % 4 * 8 : 0u;
  }
}

// Copies of 16 aligned bytes to threadgroup memory, which are under way until this thread waits for them:
// here they are made then.
struct Copies {
  struct {
    TGMEM u8* to;
    const DEVICE u8* from;
  } pending[32];
  u32 count = 0;
};
FN void wait_copies(THREAD Copies& copies) {
  u32 words[4];
  for (u32 i = 0; i < copies.count; ++i) {
    ld_u32x4(copies.pending[i].from, words);
    for (u32 b = 0; b < 16; ++b) copies.pending[i].to[b] = (u8)(words[b / 4] >> b % 4 * 8);
  }
  copies.count = 0;
}
FN void copy16(THREAD Copies& copies, TGMEM u8* to, const DEVICE u8* from) {
  if (copies.count == 32) wait_copies(copies);
  copies.pending[copies.count].to = to, copies.pending[copies.count].from = from;
  ++copies.count;
}

FN i32 dot4_i8(u32 a, u32 b, i32 c) {
  UNROLL for (u32 i = 0; i < 4; ++i) c += (i32)(i8)(u8)(a >> 8 * i) * (i32)(i8)(u8)(b >> 8 * i);
  return c;
}
FN i32 dot4_u8(u32 a, u32 b, i32 c) {
  UNROLL for (u32 i = 0; i < 4; ++i) c += (i32)(a >> 8 * i & 255u) * (i32)(i8)(u8)(b >> 8 * i);
  return c;
}
FN u32 byte_permute(u32 a, u32 b, u32 selector) {
  u32 r = 0;
  UNROLL for (u32 i = 0; i < 4; ++i) {
    const u32 which = selector >> 4 * i & 7u;
    r |= ((which < 4 ? a : b) >> 8 * (which % 4) & 255u) << 8 * i;
  }
  return r;
}

FN f32 g_fma(f32 a, f32 b, f32 c) {
  return a * b + c;
}  // rounds twice: not every processor has the instruction
FN f32 g_rsqrt(f32 a) { return 1.f / std::sqrt(a); }
FN f32 g_exp(f32 a) { return std::exp(a); }
FN f32 g_exp2(f32 a) { return std::exp2(a); }
FN f32 g_log(f32 a) { return std::log(a); }
FN f32 g_tanh(f32 a) { return std::tanh(a); }
FN f32 g_tanh_fast(f32 a) { return std::tanh(a); }
FN f32 g_sin(f32 a) { return std::sin(a); }
FN f32 g_cos(f32 a) { return std::cos(a); }
FN f32 g_abs(f32 a) { return std::fabs(a); }
FN f32 g_max(f32 a, f32 b) { return std::fmax(a, b); }

FN f32 simd_sum(f32 v, GK_LINE) {
  return medlar::emulator::exchange(medlar::emulator::Collective::sum, line, v);
}
FN f32 simd_max(f32 v, GK_LINE) {
  return medlar::emulator::exchange(medlar::emulator::Collective::max, line, v);
}

FN bool simd_any(bool v, GK_LINE) {
  return medlar::emulator::exchange(medlar::emulator::Collective::max, line, v ? 1.f : 0.f) > 0.f;
}
FN f32 simd_shuffle_xor(f32 v, u32 mask, GK_LINE) {
  return medlar::emulator::exchange(medlar::emulator::Collective::shuffle, line, v, mask);
}

// A simdgroup's ring of stages. Copies are made when the simdgroup waits for them; until then their place is
// NaN.
FN u32 ring_offset(const DEVICE u8* from) { return (u32)(u64)from & 15u; }
template <u32 kStages>
FN void ring_begin(TGMEM u64*, u32) {}
template <u32 kPieces, u32 kSlotBytes>
FN void ring_fill(TGMEM u64* flag, TGMEM u8* to, const DEVICE u8* from, u32 stride, i32 pieces, u32 bytes,
                  u32 lane) {
  for (i32 i = 0; i < (i32)kPieces && i < pieces && lane == 0; ++i, from += stride)
    medlar::emulator::copy_later((const void*)flag, (void*)(to + i * kSlotBytes + ring_offset(from)),
                                 (const void*)from, bytes);
}
template <u32 kStages>
FN void ring_wait(TGMEM u64* flag, u32, u32, GK_LINE) {
  medlar::emulator::wait_copies((const void*)flag, line);
}

// A 16x16x16 product. Which elements a lane holds is the machine's choice (MachineOptions::fragments).
struct MmaA {
  f32 v[8];
};
struct MmaB {
  f32 v[8];
};
struct MmaC {
  f32 v[8];
};
#define MMA_ELEMS 8

FN u32 mma_row(u32 e, u32 lane) { return medlar::emulator::fragment_map().row[lane][e]; }
FN u32 mma_col(u32 e, u32 lane) { return medlar::emulator::fragment_map().column[lane][e]; }
FN void mma_zero(THREAD MmaC& c) {
  for (u32 e = 0; e < MMA_ELEMS; ++e) c.v[e] = 0.f;
}
FN void mma_load_a(THREAD MmaA& a, const TGMEM f16* p, u32 ld, u32 lane) {
  const medlar::emulator::FragmentMap& map = medlar::emulator::fragment_map();
  for (u32 e = 0; e < MMA_ELEMS; ++e) a.v[e] = to_f32(p[map.row[lane][e] * ld + map.column[lane][e]]);
}
FN void mma_load_bt(THREAD MmaB& b, const TGMEM f16* p, u32 ld, u32 lane) {
  const medlar::emulator::FragmentMap& map = medlar::emulator::fragment_map();
  for (u32 e = 0; e < MMA_ELEMS; ++e) b.v[e] = to_f32(p[map.column[lane][e] * ld + map.row[lane][e]]);
}
FN void mma_load_b(THREAD MmaB& b, const TGMEM f16* p, u32 ld, u32 lane) {
  const medlar::emulator::FragmentMap& map = medlar::emulator::fragment_map();
  for (u32 e = 0; e < MMA_ELEMS; ++e) b.v[e] = to_f32(p[map.row[lane][e] * ld + map.column[lane][e]]);
}
FN void mma(THREAD MmaC& c, THREAD MmaA& a, THREAD MmaB& b, GK_LINE) {
  medlar::emulator::multiply_tiles(line, a.v, b.v, c.v);
}
FN f32 mma_get(THREAD MmaC& c, u32 e) { return c.v[e]; }
FN void mma_set(THREAD MmaC& c, u32 e, f32 v) { c.v[e] = v; }
#define MMA_ROWS 8
FN u32 mma_slot(u32 e) { return e; }
FN void mma_row_max(THREAD f32* v, GK_LINE) {
  medlar::emulator::reduce_rows(medlar::emulator::Collective::max, line, v);
}
FN void mma_row_sum(THREAD f32* v, GK_LINE) {
  medlar::emulator::reduce_rows(medlar::emulator::Collective::sum, line, v);
}
FN void mma_to_a(THREAD MmaA& a, THREAD MmaC& c) {
  for (u32 e = 0; e < MMA_ELEMS; ++e) a.v[e] = to_f32(to_f16(c.v[e]));
}
