// The words of wgmma.h in CUDA C++ for sm_90a. Operands and descriptors: PTX ISA, "Asynchronous Warpgroup
// Level Matrix Instructions".
#pragma once

#include "kernels/gpu/prelude/prelude.h"

// Threadgroup memory beyond what arrays of kernels may have: KernelInfo::shared_bytes of it, once a kernel.
#define TGLARGE(T, name)                           \
  extern __shared__ __align__(1024) u8 gk_large[]; \
  T* const name = reinterpret_cast<T*>(gk_large)

FN f32 reciprocal(f32 a) {
  f32 r;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(a));  // 1 ulp
  return r;
}
FN void st_f32x2(f32* p, f32 a, f32 b) { *reinterpret_cast<float2*>(p) = make_float2(a, b); }
FN void ld_f32x2(const f32* p, f32* out) {
  const float2 v = *reinterpret_cast<const float2*>(p);
  out[0] = v.x, out[1] = v.y;
}

// --- barriers: a phase ends when `count` have arrived and all bytes that were announced have come
FN void phase_init(u64* at, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(at)), "r"(count) : "memory");
}
// Makes what one thread has initialised known to copies; threads meet at tg_barrier() as always.
FN void phases_ready() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}
FN void phase_arrive(u64* at) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(at)) : "memory");
}
// Arrives, and announces bytes.
FN void phase_expect(u64* at, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(at)), "r"(bytes)
               : "memory");
}
// Waits for the end of the phase with this parity; the first has 0.
FN void phase_wait(u64* at, u32 parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}\n" ::"r"(shared_address(at)),
      "r"(parity)
      : "memory");
}
// Copies a multiple of 16 bytes, both ends aligned so, which arrive at the barrier.
FN void bulk_copy(u8* to, const u8* from, u32 bytes, u64* at) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(at))
      : "memory");
}

// --- registers move between the simdgroups that feed and those that multiply; n: a multiple of 8
template <u32 n>
FN void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n));
}
template <u32 n>
FN void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n));
}

// --- products: 64 x N sums over four simdgroups. Element e of a thread is at wg_row(e, thread), wg_col(e,
// thread), of the 128 threads; e and e + 1 are neighbours in a row where e is even.
template <u32 kColumns>
struct WgSums {
  f32 r[kColumns / 2];
};
FN u32 wg_row(u32 e, u32 thread) { return thread / 32 * 16 + thread % 32 / 4 + e / 2 % 2 * 8; }
FN u32 wg_col(u32 e, u32 thread) { return e / 4 * 8 + thread % 4 * 2 + e % 2; }
template <u32 kColumns>
FN void wg_zero(WgSums<kColumns>& c) {
  UNROLL for (u32 e = 0; e < kColumns / 2; ++e) c.r[e] = 0.f;
}
template <u32 kColumns>
FN f32 wg_get(const WgSums<kColumns>& c, u32 e) {
  return c.r[e];
}

// Rows of 128 bytes with exchanged 16-byte chunks (swizzled_tiles.h): 1024 bytes from eight rows to the next.
FN u64 wg_operand(const u8* p) {
  const u64 address = (shared_address(p) & 0x3FFFFu) >> 4;
  return address | 1ull << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}
FN void wg_start() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
FN void wg_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// All but the latest `pending` commits have read their operands and added their products.
template <u32 pending>
FN void wg_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

#define GK_SUMS8(c, i)                                                                                    \
  "+f"(c.r[i]), "+f"(c.r[i + 1]), "+f"(c.r[i + 2]), "+f"(c.r[i + 3]), "+f"(c.r[i + 4]), "+f"(c.r[i + 5]), \
      "+f"(c.r[i + 6]), "+f"(c.r[i + 7])
#define GK_SUMS32(c, i) GK_SUMS8(c, i), GK_SUMS8(c, i + 8), GK_SUMS8(c, i + 16), GK_SUMS8(c, i + 24)
// C += A B: A of 64 rows, B of 128, both of 16 columns.
FN void wg_mma(WgSums<128>& c, const u8* a, const u8* b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, add, 1, 1, 0, 0;\n"
      "}\n"
      : GK_SUMS32(c, 0), GK_SUMS32(c, 32)
      : "l"(wg_operand(a)), "l"(wg_operand(b)));
}
// C += A B: A of 64 rows, B of 256, both of 16 columns.
FN void wg_mma(WgSums<256>& c, const u8* a, const u8* b) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.eq.u32 add, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, "
      "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "
      "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, "
      "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "
      "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127}, "
      "%128, %129, add, 1, 1, 0, 0;\n"
      "}\n"
      : GK_SUMS32(c, 0), GK_SUMS32(c, 32), GK_SUMS32(c, 64), GK_SUMS32(c, 96)
      : "l"(wg_operand(a)), "l"(wg_operand(b)));
}
