// The vocabulary in C++ for OpenCL, for `clang -x clcpp -fsyntax-only`: it forbids what Metal forbids
// (function pointers, virtual functions, double, program-scope variables, threadgroup arrays in helpers) and
// puts a pointer without an address space into __generic, which the syntax tree shows. Nothing here has a
// definition to run.
#pragma once

#pragma OPENCL EXTENSION cl_khr_fp16 : enable

typedef uchar u8;
typedef char i8;
typedef ushort u16;
typedef short i16;
typedef uint u32;
typedef int i32;
typedef ulong u64;
typedef long i64;
typedef float f32;
typedef half f16;
struct bf16 {
  u16 bits;
};
typedef float4 f32x4;

#define DEVICE __global
#define CONSTANT __constant
#define TGMEM __local
#define THREAD __private
#define FN inline
#define UNROLL
#define NO_UNROLL
#define KERNEL(threads) __kernel void
#define KERNEL_RESIDENT(threads, groups) KERNEL(threads)
#define PARAMS(T, p) const __constant T& p
#define IN(i, T, x) const __global T* x
#define OUT(i, T, x) __global T* x
#define GRID , u32 gk_tid, u32 gk_lane, u32 gk_sg, u32 gk_x, u32 gk_y, u32 gk_z
#define GRID_BEGIN GRID_BEGIN_EARLY
#define GRID_BEGIN_EARLY                           \
  const uint3 gk_tgid = (uint3)(gk_x, gk_y, gk_z); \
  (void)gk_tgid;
#define TGARRAY(T, name, n)                                   \
  __local float4 name##_storage[(sizeof(T) * (n) + 15) / 16]; \
  __local T* const name = (__local T*)name##_storage
#define TGRING(name, bytes) TGARRAY(u8, name, bytes)

#define MEDLAR_FN inline
#define MEDLAR_DEVICE __global
#define MEDLAR_TABLE(T, name, n) __constant T name[n]
#define MEDLAR_LARGE_TABLE(T, name, n) MEDLAR_TABLE(T, name, n)

void wait_previous();
void launch_next();
void tg_barrier();
void simd_fence();
u32 bits_u32(f32);
f32 bits_f32(u32);
f32 to_f32(f16);
f16 to_f16(f32);
f32 f16_bits_to_f32(u16);
u16 f32_to_f16_bits(f32);
f32 bf16_bits_to_f32(u16);
u16 f32_to_bf16_bits(f32);
u32 f16_pair(f32, f32);
void f16_bytes(u32, u32, u16, THREAD u32*);
f32x4 ld_f32x4(const DEVICE f32*);
void ld_u32x4(const DEVICE u8*, THREAD u32*);
void st_u32x4(TGMEM f16*, const THREAD u32*);
void st_u32x4(DEVICE u8*, const THREAD u32*);
void ld_weight_u32x4(const DEVICE u8*, THREAD u32*);
u32 ld_weight_u16(const DEVICE u8*);
u32 ld_weight_u32(const DEVICE u8*);
void ld_weight_words(const DEVICE u8*, THREAD u32*, u32, u32);
u32 weight_shift(const DEVICE u8*);
u32 shifted_word(const THREAD u32*, u32);
struct Copies {};
void copy16(THREAD Copies&, TGMEM u8*, const DEVICE u8*);
void wait_copies(THREAD Copies&);
void ld_staged_u32x4(const TGMEM u8*, THREAD u32*);
u32 ld_staged_u32(const TGMEM u8*);
u32 ld_staged_u16(const TGMEM u8*);
void ld_staged_words(const TGMEM u8*, THREAD u32*, u32, u32);
u32 staged_shift(const TGMEM u8*);
i32 dot4_i8(u32, u32, i32);
i32 dot4_u8(u32, u32, i32);
u32 byte_permute(u32, u32, u32);
f32 g_fma(f32, f32, f32);
f32 g_rsqrt(f32);
f32 g_exp(f32);
f32 g_exp2(f32);
f32 g_log(f32);
f32 g_tanh(f32);
f32 g_tanh_fast(f32);
f32 g_sin(f32);
f32 g_cos(f32);
f32 g_abs(f32);
f32 g_max(f32, f32);
f32 simd_sum(f32);
f32 simd_max(f32);
bool simd_any(bool);
f32 simd_shuffle_xor(f32, u32);
u32 ring_offset(const DEVICE u8*);
template <u32 kStages>
void ring_begin(TGMEM u64*, u32);
template <u32 kPieces, u32 kSlotBytes>
void ring_fill(TGMEM u64*, TGMEM u8*, const DEVICE u8*, u32, i32, u32, u32);
template <u32 kStages>
void ring_wait(TGMEM u64*, u32, u32);

struct MmaA {
  u32 r[4];
};
struct MmaB {
  u32 r[4];
};
struct MmaC {
  f32 r[8];
};
#define MMA_ELEMS 8
void mma_zero(THREAD MmaC&);
void mma_load_a(THREAD MmaA&, const TGMEM f16*, u32, u32);
void mma_load_bt(THREAD MmaB&, const TGMEM f16*, u32, u32);
void mma_load_b(THREAD MmaB&, const TGMEM f16*, u32, u32);
void mma(THREAD MmaC&, THREAD MmaA&, THREAD MmaB&);
u32 mma_row(u32, u32);
u32 mma_col(u32, u32);
f32 mma_get(THREAD MmaC&, u32);
void mma_set(THREAD MmaC&, u32, f32);
#define MMA_ROWS 2
u32 mma_slot(u32);
void mma_row_max(THREAD f32*);
void mma_row_sum(THREAD f32*);
void mma_to_a(THREAD MmaA&, THREAD MmaC&);
