// The vocabulary in the Metal Shading Language. METAL_PRECEDENTS.md names, for each construct
// below, a file of MLX or ggml-metal that uses it the same way.
#pragma once

#include <metal_simdgroup>
#include <metal_simdgroup_matrix>
#include <metal_stdlib>

using namespace metal;

typedef uint8_t u8;
typedef int8_t i8;  // never char: its sign differs between hosts
typedef uint16_t u16;
typedef int16_t i16;
typedef uint32_t u32;
typedef int32_t i32;
typedef ulong u64;
typedef long i64;
typedef float f32;
typedef half f16;
typedef float4 f32x4;

#define DEVICE device
#define CONSTANT constant
#define TGMEM threadgroup
#define THREAD thread
#define FN inline
#define UNROLL _Pragma("clang loop unroll(full)")
#define NO_UNROLL
#define KERNEL(threads) [[kernel, max_total_threads_per_threadgroup(threads)]] void
#define KERNEL_RESIDENT(threads, groups) KERNEL(threads)
#define PARAMS(T, p) constant T& p [[buffer(0)]]
#define IN(i, T, x) const device T* x [[buffer(i)]]
#define OUT(i, T, x) device T* x [[buffer(i)]]
#define GRID                                                                                     \
  , uint3 gk_tgid [[threadgroup_position_in_grid]], uint gk_tid [[thread_index_in_threadgroup]], \
      uint gk_lane [[thread_index_in_simdgroup]], uint gk_sg [[simdgroup_index_in_threadgroup]]
#define GRID_BEGIN
#define GRID_BEGIN_EARLY
#ifndef TGARRAY  // a test that runs this branch on the host brings its own
#define TGARRAY(T, name, n)                                       \
  threadgroup float4 name##_storage[(sizeof(T) * (n) + 15) / 16]; \
  threadgroup T* const name = (threadgroup T*)name##_storage
#endif
#ifndef TGRING
#define TGRING(name, bytes) TGARRAY(u8, name, bytes)
#endif

// The formats' words (formats/portable.h).
#define MEDLAR_FN inline
#define MEDLAR_DEVICE DEVICE
#define MEDLAR_TABLE(T, name, n) constexpr constant static T name[n]
#define MEDLAR_LARGE_TABLE(T, name, n) MEDLAR_TABLE(T, name, n)

FN void wait_previous() {}  // a dispatch starts when those before its barrier have ended
FN void launch_next() {}
FN void tg_barrier() { threadgroup_barrier(mem_flags::mem_threadgroup); }
FN void simd_fence() { simdgroup_barrier(mem_flags::mem_threadgroup); }

FN u32 bits_u32(f32 v) { return as_type<uint>(v); }
FN f32 bits_f32(u32 v) { return as_type<float>(v); }
FN f32 f16_bits_to_f32(u16 bits) { return float(as_type<half>(bits)); }
FN u16 f32_to_f16_bits(f32 v) { return as_type<ushort>(half(v)); }
FN f32 bf16_bits_to_f32(u16 bits) { return as_type<float>((uint)bits << 16); }
FN u16 f32_to_bf16_bits(f32 v) {
  const u32 bits = bits_u32(v);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (u16)(bits >> 16 | 0x40u);
  return (u16)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
FN f32 to_f32(f16 h) { return float(h); }
FN f16 to_f16(f32 v) { return half(v); }

// Two neighbouring f16, the first in the low half.
FN u32 f16_pair(f32 a, f32 b) { return (u32)f32_to_f16_bits(a) | (u32)f32_to_f16_bits(b) << 16; }
// Four f16: (byte - bias) * scale, for a bias of up to 1023 and a scale that is an f16's bits.
FN void f16_bytes(u32 bytes, u32 bias, u16 scale, THREAD u32* out) {
  const f32 factor = f16_bits_to_f32(scale);
  UNROLL for (u32 i = 0; i < 2; ++i) out[i] =
      f16_pair((f32)((i32)(bytes >> 16 * i & 255u) - (i32)bias) * factor,
               (f32)((i32)(bytes >> (16 * i + 8) & 255u) - (i32)bias) * factor);
}

FN f32x4 ld_f32x4(const device f32* p) { return *(const device f32x4*)p; }

FN void ld_u32x4(const DEVICE u8* p, THREAD u32* out) {
  const float4 v = *(const device float4*)p;
  out[0] = bits_u32(v.x), out[1] = bits_u32(v.y), out[2] = bits_u32(v.z), out[3] = bits_u32(v.w);
}
FN float4 four_words(const THREAD u32* v) {
  float4 f;
  f.x = bits_f32(v[0]), f.y = bits_f32(v[1]), f.z = bits_f32(v[2]), f.w = bits_f32(v[3]);
  return f;
}
FN void st_u32x4(DEVICE u8* p, const THREAD u32* v) { *(device float4*)p = four_words(v); }
FN void st_u32x4(TGMEM f16* p, const THREAD u32* v) { *(threadgroup float4*)p = four_words(v); }
// Weights: nobody writes them, so these may stand before wait_previous().
FN void ld_weight_u32x4(const DEVICE u8* p, THREAD u32* out) { ld_u32x4(p, out); }
FN u32 ld_weight_u16(const DEVICE u8* p) { return *(const device ushort*)p; }
FN u32 ld_weight_u32(const DEVICE u8* p) { return *(const device uint*)p; }
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
FN void ld_staged_u32x4(const threadgroup u8* p, thread u32* out) {
  UNROLL for (u32 i = 0; i < 4; ++i) out[i] = ((const threadgroup u32*)p)[i];
}
FN u32 ld_staged_u32(const threadgroup u8* p) { return *(const threadgroup u32*)p; }
FN u32 ld_staged_u16(const threadgroup u8* p) { return *(const threadgroup ushort*)p; }
FN u32 staged_shift(const threadgroup u8*) { return 0; }
FN void ld_staged_words(const threadgroup u8* p, thread u32* out, u32 n, u32 bytes) {
  UNROLL for (u32 i = 0; i < n; ++i) {
    out[i] = 0;
    UNROLL for (u32 j = i * 4; j < i * 4 + 4; ++j) out[i] |= j < bytes ? (u32)p[j] << j % 4 * 8 : 0u;
  }
}

// Copies of 16 aligned bytes to threadgroup memory, which are under way until this thread waits for them.
struct Copies {};
FN void copy16(THREAD Copies&, TGMEM u8* to, const DEVICE u8* from) {
  *(threadgroup float4*)to = *(const device float4*)from;
}
FN void wait_copies(THREAD Copies&) {}

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

FN f32 g_fma(f32 a, f32 b, f32 c) { return fma(a, b, c); }
FN f32 g_rsqrt(f32 a) { return precise::rsqrt(a); }
FN f32 g_exp(f32 a) { return precise::exp(a); }
FN f32 g_exp2(f32 a) { return fast::exp2(a); }
FN f32 g_log(f32 a) { return precise::log(a); }
FN f32 g_tanh(f32 a) { return precise::tanh(a); }
FN f32 g_tanh_fast(f32 a) { return precise::tanh(a); }
FN f32 g_sin(f32 a) { return precise::sin(a); }
FN f32 g_cos(f32 a) { return precise::cos(a); }
FN f32 g_abs(f32 a) { return fabs(a); }
FN f32 g_max(f32 a, f32 b) { return fmax(a, b); }

// simd_sum, simd_max and simd_shuffle_xor are Metal's own.
FN bool simd_any(bool v) { return simd_max(v ? 1.f : 0.f) > 0.f; }

// A simdgroup's ring of stages: copied at once.
FN u32 ring_offset(const device u8*) { return 0; }
template <u32 kStages>
FN void ring_begin(threadgroup u64*, u32) {}
template <u32 kPieces, u32 kSlotBytes>
FN void ring_fill(threadgroup u64*, threadgroup u8* to, const device u8* from, u32 stride, i32 pieces,
                  u32 bytes, u32 lane) {
  for (i32 i = 0; i < (i32)kPieces && i < pieces; ++i)
    for (u32 j = lane; j < bytes; j += 32) to[(u32)i * kSlotBytes + j] = from[(u32)i * stride + j];
}
template <u32 kStages>
FN void ring_wait(threadgroup u64*, u32, u32) {
  simd_fence();
}

// A 16x16 tile as two by two 8x8 simdgroup matrices.
struct MmaA {
  simdgroup_half8x8 m[2][2];
};
struct MmaB {
  simdgroup_half8x8 m[2][2];
};
struct MmaC {
  simdgroup_float8x8 m[2][2];
};
#define MMA_ELEMS 8

FN void mma_zero(thread MmaC& c) {
  UNROLL for (short i = 0; i < 2; ++i) UNROLL for (short j = 0; j < 2; ++j) c.m[i][j] =
      make_filled_simdgroup_matrix<float, 8>(0.f);
}
FN void mma_load_a(thread MmaA& a, const threadgroup f16* p, u32 ld, u32 lane) {
  UNROLL for (short i = 0; i < 2; ++i) UNROLL for (short j = 0; j < 2; ++j)
      simdgroup_load(a.m[i][j], p + i * 8 * ld + j * 8, ld);
}
FN void mma_load_bt(thread MmaB& b, const threadgroup f16* p, u32 ld, u32 lane) {
  UNROLL for (short i = 0; i < 2; ++i) UNROLL for (short j = 0; j < 2; ++j)
      simdgroup_load(b.m[i][j], p + j * 8 * ld + i * 8, ld, 0, true);
}
FN void mma_load_b(thread MmaB& b, const threadgroup f16* p, u32 ld, u32 lane) {
  UNROLL for (short i = 0; i < 2; ++i) UNROLL for (short j = 0; j < 2; ++j)
      simdgroup_load(b.m[i][j], p + i * 8 * ld + j * 8, ld);
}
FN void mma(thread MmaC& c, thread MmaA& a, thread MmaB& b) {
  UNROLL for (short k = 0; k < 2; ++k) UNROLL for (short i = 0; i < 2; ++i)
      UNROLL for (short j = 0; j < 2; ++j)
          simdgroup_multiply_accumulate(c.m[i][j], a.m[i][k], b.m[k][j], c.m[i][j]);
}
// Which element a lane holds is a fact of the hardware (MLX's steel kernels rely on it); kernels only ask
// here.
FN u32 mma_row(u32 e, u32 lane) { return e / 4 * 8 + (lane / 4 & 4) + lane / 2 % 4; }
FN u32 mma_col(u32 e, u32 lane) { return e / 2 % 2 * 8 + (lane / 4 & 2) * 2 + lane % 2 * 2 + e % 2; }
FN f32 mma_get(thread MmaC& c, u32 e) { return c.m[e / 4][e / 2 % 2].thread_elements()[e % 2]; }
FN void mma_set(thread MmaC& c, u32 e, f32 v) { c.m[e / 4][e / 2 % 2].thread_elements()[e % 2] = v; }
#define MMA_ROWS 2
FN u32 mma_slot(u32 e) { return e / 4; }
FN void mma_row_max(thread f32* v) {
  UNROLL for (short i = 0; i < MMA_ROWS; ++i) {
    v[i] = fmax(v[i], simd_shuffle_xor(v[i], (ushort)1));
    v[i] = fmax(v[i], simd_shuffle_xor(v[i], (ushort)8));
  }
}
FN void mma_row_sum(thread f32* v) {
  UNROLL for (short i = 0; i < MMA_ROWS; ++i) {
    v[i] += simd_shuffle_xor(v[i], (ushort)1);
    v[i] += simd_shuffle_xor(v[i], (ushort)8);
  }
}
FN void mma_to_a(thread MmaA& a, thread MmaC& c) {
  UNROLL for (short i = 0; i < 2; ++i) UNROLL for (short j = 0; j < 2; ++j)
      UNROLL for (short e = 0; e < 2; ++e) a.m[i][j]
          .thread_elements()[e] = half(c.m[i][j].thread_elements()[e]);
}
