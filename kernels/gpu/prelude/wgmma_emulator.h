// The words of wgmma.h in C++, over the emulator. A copy has come when it is asked for; a thread multiplies
// the elements that it holds by itself.
#pragma once

#include "kernels/gpu/emulator/phases.h"
#include "kernels/gpu/prelude/prelude.h"

#define TGLARGE(T, name) TGMEM T* const name = (TGMEM T*)medlar::emulator::large_threadgroup_memory()

FN f32 reciprocal(f32 a) { return 1.f / a; }
FN void st_f32x2(DEVICE f32* p, f32 a, f32 b) { p[0] = a, p[1] = b; }
FN void ld_f32x2(const DEVICE f32* p, THREAD f32* out) { out[0] = p[0], out[1] = p[1]; }

// --- barriers: a phase ends when `count` have arrived and all bytes that were announced have come
FN void phase_init(TGMEM u64* at, u32 count) { medlar::emulator::phase_init((u64*)at, count); }
FN void phases_ready() {}
FN void phase_arrive(TGMEM u64* at) { medlar::emulator::phase_arrive((u64*)at, 1, 0); }
FN void phase_expect(TGMEM u64* at, u32 bytes) { medlar::emulator::phase_arrive((u64*)at, 1, (i32)bytes); }
FN void phase_wait(TGMEM u64* at, u32 parity, GK_LINE) {
  medlar::emulator::phase_wait((u64*)at, parity, line);
}
FN void bulk_copy(TGMEM u8* to, const DEVICE u8* from, u32 bytes, TGMEM u64* at) {
  medlar::emulator::copy_aligned((void*)to, (const void*)from, bytes);
  medlar::emulator::phase_arrive((u64*)at, 0, -(i32)bytes);
}

template <u32 n>
FN void give_registers() {}
template <u32 n>
FN void take_registers() {}

// --- products: 64 x N sums over four simdgroups
template <u32 kColumns>
struct WgSums {
  f32 r[kColumns / 2];
};
FN u32 wg_row(u32 e, u32 thread) { return thread / 32 * 16 + thread % 32 / 4 + e / 2 % 2 * 8; }
FN u32 wg_col(u32 e, u32 thread) { return e / 4 * 8 + thread % 4 * 2 + e % 2; }
template <u32 kColumns>
FN void wg_zero(THREAD WgSums<kColumns>& c) {
  for (u32 e = 0; e < kColumns / 2; ++e) c.r[e] = 0.f;
}
template <u32 kColumns>
FN f32 wg_get(const THREAD WgSums<kColumns>& c, u32 e) {
  return c.r[e];
}
FN void wg_start(GK_LINE) { medlar::emulator::meet({medlar::emulator::Collective::fence, line}); }
FN void wg_commit() {}
template <u32 pending>
FN void wg_wait(GK_LINE) {
  medlar::emulator::meet({medlar::emulator::Collective::fence, line});
}

// Row `row` of an operand as the unit reads it: from addresses of which bits 4 to 6 are exchanged with bits 7
// to 9.
FN void wg_row_of(const TGMEM u8* p, u32 row, THREAD f32* out) {
  for (u32 i = 0; i < 16; ++i) {
    const u64 at = (u64)p + row * 128 + i * 2;
    out[i] = to_f32(*(const TGMEM f16*)(at ^ (at >> 7 & 7) << 4));
  }
}
// C += A B: A of 64 rows, B of kColumns, both of 16 columns.
template <u32 kColumns>
FN void wg_mma(THREAD WgSums<kColumns>& c, const TGMEM u8* a, const TGMEM u8* b) {
  const u32 thread = medlar::emulator::position().index % 128;
  f32 rows[2][16], column[16];
  for (u32 i = 0; i < 2; ++i) wg_row_of(a, wg_row(i * 2, thread), rows[i]);
  for (u32 e = 0; e < kColumns / 2; e += 4)
    for (u32 j = 0; j < 2; ++j) {
      wg_row_of(b, wg_col(e + j, thread), column);
      for (u32 i = 0; i < 2; ++i)
        for (u32 k = 0; k < 16; ++k) c.r[e + i * 2 + j] += rows[i][k] * column[k];
    }
}
