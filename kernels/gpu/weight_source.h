// Where a leaf's words come from: weights in device memory, or what ring_copy has brought into threadgroup
// memory; and the row of x that they meet.
#pragma once

#include "kernels/gpu/prelude/prelude.h"
#include "kernels/gpu/types.h"

// `gamma`: where `weighted`, what leaves multiply f32 rows by; rows of bytes have been.
struct RowOfX {
  const DEVICE u8* at;
  const DEVICE f32* gamma;
  u32 k;
  bool weighted;
};

struct DeviceWeights {
  typedef const DEVICE u8* At;
  static FN void load_u32x4(At p, THREAD u32* out) { ld_weight_u32x4(p, out); }
  static FN u32 load_u32(At p) { return ld_weight_u32(p); }
  static FN u32 load_u16(At p) { return ld_weight_u16(p); }
  static FN void load_words(At p, THREAD u32* out, u32 n, u32 bytes) { ld_weight_words(p, out, n, bytes); }
  static FN u32 shift(At p) { return weight_shift(p); }
};

struct StagedWeights {
  typedef const TGMEM u8* At;
  static FN void load_u32x4(At p, THREAD u32* out) { ld_staged_u32x4(p, out); }
  static FN u32 load_u32(At p) { return ld_staged_u32(p); }
  static FN u32 load_u16(At p) { return ld_staged_u16(p); }
  static FN void load_words(At p, THREAD u32* out, u32 n, u32 bytes) { ld_staged_words(p, out, n, bytes); }
  static FN u32 shift(At p) { return staged_shift(p); }
};
