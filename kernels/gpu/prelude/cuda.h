// The vocabulary in CUDA C++, for nvcc and NVRTC. It includes no header of the toolkit: f16 and bf16 are
// structs of our own. Matrix tiles need sm_80 (mma.m16n8k16, ldmatrix).
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;
typedef float f32;
typedef float4 f32x4;
struct __align__(2) f16 {
  u16 bits;
};

#define DEVICE
#define CONSTANT
#define TGMEM
#define THREAD
#define FN __device__ __forceinline__
#define UNROLL _Pragma("unroll")
// A loop that is not copied.
#define NO_UNROLL _Pragma("unroll 1")
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// With so few registers that a core can hold this many threadgroups.
#define KERNEL_RESIDENT(threads, groups) extern "C" __global__ void __launch_bounds__(threads, groups)
#define PARAMS(T, p) const T p
// Not __restrict__: what an earlier kernel writes must not be loaded before wait_previous(), and the compiler
// may move loads of restricted constants.
#define IN(i, T, x) const T* x
#define OUT(i, T, x) T* x
#define GRID
#define GRID_BEGIN \
  launch_next();   \
  wait_previous(); \
  GRID_BEGIN_EARLY
#define GRID_BEGIN_EARLY                                                                  \
  const uint3 gk_tgid = blockIdx;                                                         \
  const u32 gk_tid = threadIdx.x, gk_lane = threadIdx.x % 32u, gk_sg = threadIdx.x / 32u; \
  (void)gk_tgid, (void)gk_tid, (void)gk_lane, (void)gk_sg;
#define TGARRAY(T, name, n)                                      \
  __shared__ float4 name##_storage[(sizeof(T) * (n) + 15) / 16]; \
  T* const name = reinterpret_cast<T*>(name##_storage)
// KernelInfo::shared_bytes of memory. The compiler shall not compute its address again and again.
#define TGRING(name, bytes)                         \
  extern __shared__ float4 name##_storage[];        \
  u8* name = reinterpret_cast<u8*>(name##_storage); \
  asm volatile("" : "+l"(name))

// The formats' words (formats/portable.h).
#define MEDLAR_FN __device__ __forceinline__
#define MEDLAR_DEVICE DEVICE
#define MEDLAR_TABLE(T, name, n) static __constant__ const T name[n]
#define MEDLAR_LARGE_TABLE(T, name, n) static __device__ const T name[n]

// Programmatic dependent launch: a kernel may start when all threadgroups of those before it have called
// launch_next, and has their results after wait_previous.
FN void wait_previous() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
FN void launch_next() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

FN void tg_barrier() { __syncthreads(); }
FN void simd_fence() { __syncwarp(); }

FN u32 bits_u32(f32 v) { return __float_as_uint(v); }
FN f32 bits_f32(u32 v) { return __uint_as_float(v); }
FN f32 f16_bits_to_f32(u16 bits) {
  f32 r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(bits));
  return r;
}
FN u16 f32_to_f16_bits(f32 v) {
  u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
  return bits;
}
FN f32 bf16_bits_to_f32(u16 bits) { return __uint_as_float((u32)bits << 16); }
FN u16 f32_to_bf16_bits(f32 v) {
  u16 bits;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(v));
  return bits;
}
FN f32 to_f32(f16 h) { return f16_bits_to_f32(h.bits); }
FN f16 to_f16(f32 v) { return f16{f32_to_f16_bits(v)}; }

// Two neighbouring f16, the first in the low half.
FN u32 f16_pair(f32 a, f32 b) {
  u32 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a));
  return r;
}
// Four f16: (byte - bias) * scale, for a bias of up to 1023 and a scale that is an f16's bits.
FN void f16_bytes(u32 bytes, u32 bias, u16 scale, u32* out) {
  const u32 base = (0x6400u + bias) * 0x10001u, factor = scale * 0x10001u;  // 0x6400: 1024 as f16
  UNROLL for (u32 i = 0; i < 2; ++i) {
    u32 v = __byte_perm(bytes, 0x64646464u, i ? 0x4342 : 0x4140);
    asm("sub.f16x2 %0, %0, %1;" : "+r"(v) : "r"(base));
    asm("mul.f16x2 %0, %1, %2;" : "=r"(out[i]) : "r"(v), "r"(factor));
  }
}

FN f32x4 ld_f32x4(const f32* p) { return *reinterpret_cast<const f32x4*>(p); }

FN void ld_u32x4(const u8* p, u32* out) {
  const uint4 v = *reinterpret_cast<const uint4*>(p);
  out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
}
FN void st_u32x4(f16* p, const u32* v) { *reinterpret_cast<uint4*>(p) = make_uint4(v[0], v[1], v[2], v[3]); }
FN void st_u32x4(u8* p, const u32* v) { *reinterpret_cast<uint4*>(p) = make_uint4(v[0], v[1], v[2], v[3]); }
// Weights: nobody writes them, so these may stand before wait_previous(); volatile and not as constants,
// so that they stay there.
FN void ld_weight_u32x4(const u8* p, u32* out) {
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "l"(p));
}
FN u32 ld_weight_u32(const u8* p) {
  u32 v;
  asm volatile("ld.global.u32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}
FN u32 ld_weight_u16(const u8* p) {
  u16 v;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(v) : "l"(p));
  return v;
}
// n words with `bytes` bytes from p on in them, at bit weight_shift(p) of the first: whole aligned words.
FN void ld_weight_words(const u8* p, u32* out, u32 n, u32 bytes) {
  const u8* at = (const u8*)((u64)p & ~3ull);
  UNROLL for (u32 i = 0; i < n; ++i) out[i] = ld_weight_u32(at + i * 4);
}
FN u32 weight_shift(const u8* p) { return ((u32)(u64)p & 3u) * 8u; }
// Bits shift, shift + 1, ... of two words, for shifts of up to 32.
FN u32 shifted_word(const u32* w, u32 shift) { return __funnelshift_rc(w[0], w[1], shift); }

// Weights that ring_fill has brought; volatile, so that they stay behind ring_wait.
FN u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
FN void ld_staged_u32x4(const u8* p, u32* out) {
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(p)));
}
FN u32 ld_staged_u32(const u8* p) {
  u32 v;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(shared_address(p)));
  return v;
}
FN u32 ld_staged_u16(const u8* p) {
  u16 v;
  asm volatile("ld.shared.u16 %0, [%1];" : "=h"(v) : "r"(shared_address(p)));
  return v;
}
FN u32 staged_shift(const u8* p) { return weight_shift(p); }
FN void ld_staged_words(const u8* p, u32* out, u32 n, u32 bytes) {
  const u8* at = p - ((u32)(u64)p & 3u);
  UNROLL for (u32 i = 0; i < n; ++i) out[i] = ld_staged_u32(at + i * 4);
}
// Copies of 16 aligned bytes to threadgroup memory, which are under way until this thread waits for them.
struct Copies {};
FN void copy16(Copies&, u8* to, const u8* from) {
  const u32 at = (u32)__cvta_generic_to_shared(to);
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
}
FN void wait_copies(Copies&) { asm volatile("cp.async.wait_all;" ::: "memory"); }

FN i32 dot4_i8(u32 a, u32 b, i32 c) { return __dp4a((i32)a, (i32)b, c); }
FN i32 dot4_u8(u32 a, u32 b, i32 c) {
  i32 r;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
FN u32 byte_permute(u32 a, u32 b, u32 selector) { return __byte_perm(a, b, selector); }

FN f32 g_fma(f32 a, f32 b, f32 c) { return __fmaf_rn(a, b, c); }
FN f32 g_rsqrt(f32 a) { return rsqrtf(a); }
FN f32 g_exp(f32 a) { return expf(a); }
FN f32 g_exp2(f32 a) {
  f32 r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));
  return r;
}
FN f32 g_log(f32 a) { return logf(a); }
FN f32 g_tanh(f32 a) { return tanhf(a); }
// By 1 - 2 / (exp(2 a) + 1).
FN f32 g_tanh_fast(f32 a) { return 1.f - __fdividef(2.f, g_exp2(a * 2.88539008f) + 1.f); }
FN f32 g_sin(f32 a) { return sinf(a); }
FN f32 g_cos(f32 a) { return cosf(a); }
FN f32 g_abs(f32 a) { return fabsf(a); }
FN f32 g_max(f32 a, f32 b) { return fmaxf(a, b); }

FN f32 simd_sum(f32 v) {
  UNROLL for (u32 m = 16; m; m >>= 1) v += __shfl_xor_sync(0xFFFFFFFFu, v, m);
  return v;
}
FN f32 simd_max(f32 v) {
  UNROLL for (u32 m = 16; m; m >>= 1) v = fmaxf(v, __shfl_xor_sync(0xFFFFFFFFu, v, m));
  return v;
}

FN bool simd_any(bool v) { return __any_sync(0xFFFFFFFFu, v); }
FN f32 simd_shuffle_xor(f32 v, u32 mask) { return __shfl_xor_sync(0xFFFFFFFFu, v, mask); }

// A simdgroup's ring of stages. From sm_90 on a lane starts bulk copies, and a stage's barrier in threadgroup
// memory counts their bytes; before, all lanes copy, and stages arrive in the order in which they were
// filled.
FN u32 ring_offset(const u8* from) { return (u32)(u64)from & 15u; }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
FN bool elected() {
  u32 chosen;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xFFFFFFFF;\nselp.u32 %0, 1, 0, p;\n}" : "=r"(chosen));
  return chosen != 0;
}
template <u32 kStages>
FN void ring_begin(u64* flags, u32) {
  if (elected()) {
    UNROLL for (u32 i = 0; i < kStages;
                ++i) asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(flags + i)));
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");  // for the copies, too
  }
  __syncwarp();
}
template <u32 kPieces, u32 kSlotBytes>
FN void ring_fill(u64* flag, u8* to, const u8* from, u32 stride, i32 pieces, u32 bytes, u32) {
  if (!elected()) return;
  u32 expected = 0;
  UNROLL for (u32 i = 0; i < kPieces; ++i, from += stride) if ((i32)i < pieces) {
    const u32 before = ring_offset(from), whole = (before + bytes + 15u) & ~15u;
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
            shared_address(to + i * kSlotBytes)),
        "l"(from - before), "r"(whole), "r"(shared_address(flag))
        : "memory");
    expected += whole;
  }
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(flag)),
               "r"(expected)
               : "memory");
}
template <u32 kStages>
FN void ring_wait(u64* flag, u32 parity, u32) {
  asm volatile(
      "{\n.reg .pred arrived;\nagain%=: mbarrier.try_wait.parity.shared::cta.b64 arrived, [%0], %1;\n"
      "@!arrived bra again%=;\n}" ::"r"(shared_address(flag)),
      "r"(parity)
      : "memory");
}
#else
template <u32 kStages>
FN void ring_begin(u64*, u32) {}
template <u32 kPieces, u32 kSlotBytes>
FN void ring_fill(u64*, u8* to, const u8* from, u32 stride, i32 pieces, u32 bytes, u32 lane) {
  UNROLL for (u32 i = 0; i < kPieces; ++i, from += stride) if ((i32)i < pieces) {
    const u32 before = ring_offset(from), whole = (before + bytes + 15u) & ~15u;
    for (u32 j = lane * 16; j < whole; j += 512)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to + i * kSlotBytes) + j),
                   "l"(from - before + j)
                   : "memory");
  }
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <u32 kStages>
FN void ring_wait(u64*, u32, u32) {
  asm volatile("cp.async.wait_group %0;" ::"n"(kStages - 1) : "memory");
  __syncwarp();
}
#endif

// A 16x16x16 product as two mma.m16n8k16.
struct MmaA {
  u32 r[4];
};
struct MmaB {
  u32 r[2][2];
};
struct MmaC {
  f32 r[2][4];
};
#define MMA_ELEMS 8

FN void mma_zero(MmaC& c) {
  UNROLL for (u32 i = 0; i < 2; ++i) UNROLL for (u32 j = 0; j < 4; ++j) c.r[i][j] = 0.f;
}
FN void mma_load_a(MmaA& a, const f16* p, u32 ld, u32 lane) {
  const u32 at = shared_address(p + lane % 16 * ld + lane / 16 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(a.r[0]), "=r"(a.r[1]), "=r"(a.r[2]), "=r"(a.r[3])
               : "r"(at));
}
FN void mma_load_bt(MmaB& b, const f16* p, u32 ld, u32 lane) {
  const u32 at = shared_address(p + (lane % 8 + lane / 16 * 8) * ld + lane / 8 % 2 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b.r[0][0]), "=r"(b.r[0][1]), "=r"(b.r[1][0]), "=r"(b.r[1][1])
               : "r"(at));
}
FN void mma_load_b(MmaB& b, const f16* p, u32 ld, u32 lane) {
  const u32 at = shared_address(p + (lane % 8 + lane / 8 % 2 * 8) * ld + lane / 16 * 8);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(b.r[0][0]), "=r"(b.r[0][1]), "=r"(b.r[1][0]), "=r"(b.r[1][1])
               : "r"(at));
}
FN void mma(MmaC& c, MmaA& a, MmaB& b) {
  UNROLL for (u32 j = 0; j < 2; ++j) asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, "
      "%1, %2, %3};" : "+f"(c.r[j][0]),
      "+f"(c.r[j][1]), "+f"(c.r[j][2]), "+f"(c.r[j][3]) : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]),
      "r"(b.r[j][0]), "r"(b.r[j][1]));
}
FN u32 mma_row(u32 e, u32 lane) { return e / 2 % 2 * 8 + lane / 4; }
FN u32 mma_col(u32 e, u32 lane) { return e / 4 * 8 + lane % 4 * 2 + e % 2; }
FN f32 mma_get(MmaC& c, u32 e) { return c.r[e / 4][e % 4]; }
FN void mma_set(MmaC& c, u32 e, f32 v) { c.r[e / 4][e % 4] = v; }
#define MMA_ROWS 2
FN u32 mma_slot(u32 e) { return e / 2 % 2; }
FN void mma_row_max(f32* v) {
  UNROLL for (u32 m = 1; m < 4; m *= 2) UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) v[i] =
      fmaxf(v[i], __shfl_xor_sync(0xFFFFFFFFu, v[i], m));
}
FN void mma_row_sum(f32* v) {
  UNROLL for (u32 m = 1; m < 4; m *= 2) UNROLL for (u32 i = 0; i < MMA_ROWS; ++i) v[i] +=
      __shfl_xor_sync(0xFFFFFFFFu, v[i], m);
}
FN void mma_to_a(MmaA& a, MmaC& c) {
  UNROLL for (u32 i = 0; i < 4; ++i) a.r[i] = f16_pair(c.r[i / 2][i % 2 * 2], c.r[i / 2][i % 2 * 2 + 1]);
}
