// What the blocks of 32 share: their range, rounding to codes, and codes of four and five bits.
#pragma once

#include "formats/portable.h"

namespace medlar {
namespace formats {

MEDLAR_FN f32 magnitude(f32 v) { return v > 0 ? v : 0 - v; }

// The value of greatest magnitude, the first among equals; NaN if there is one.
MEDLAR_FN f32 peak(const MEDLAR_DEVICE f32* x, u32 n) {
  f32 value = x[0];
  for (u32 i = 1; i < n; ++i) {
    if (magnitude(x[i]) > magnitude(value) || x[i] != x[i]) value = x[i];
  }
  return value;
}

// Codes are found by multiplying with the inverse of the scale, before that is rounded to f16.
MEDLAR_FN f32 inverse(f32 scale) { return scale == 0 ? 0 : 1 / scale; }

// v without its fraction, within 0..top. What NaN gives does not matter: its block's scale is NaN.
MEDLAR_FN u32 truncate_code(f32 v, u32 top) {
  const f32 above = v > 0 ? v : 0;
  return above < static_cast<f32>(top) ? static_cast<u32>(above) : top;
}

// The integer nearest to v, halves away from zero, within -top..top.
MEDLAR_FN i32 round_code(f32 v, i32 top) {
  const f32 limit = static_cast<f32>(top);
  const f32 within = magnitude(v) < limit ? magnitude(v) : limit;
  const i32 floor = static_cast<i32>(within);
  const i32 code = floor + (within - static_cast<f32>(floor) >= 0.5F ? 1 : 0);
  return v < 0 ? -code : code;
}

// Four bits of element i of 32: byte k holds elements k (low half) and k + 16 (high half).
MEDLAR_FN u32 nibble(const MEDLAR_DEVICE u8* codes, u32 i) { return codes[i % 16] >> i / 16 * 4 & 15U; }

MEDLAR_FN void set_nibbles(MEDLAR_DEVICE u8* codes, u32 k, u32 low, u32 high) {
  codes[k] = static_cast<u8>(low | high << 4);
}

// Five bits of element i of 32: four as above, the fifth in bit i % 8 of high[i / 8].
MEDLAR_FN u32 five_bits(const MEDLAR_DEVICE u8* codes, const MEDLAR_DEVICE u8* high, u32 i) {
  return nibble(codes, i) | (high[i / 8] >> i % 8 & 1U) << 4;
}

#ifdef MEDLAR_HOST
// Into bytes that are still zero.
MEDLAR_FN void set_five_bits(u8* codes, u8* high, u32 i, u32 code) {
  codes[i % 16] = static_cast<u8>(codes[i % 16] | (code & 15) << i / 16 * 4);
  high[i / 8] = static_cast<u8>(high[i / 8] | code >> 4 << i % 8);
}

struct Range {
  f32 min, max;
};

// Of x; both NaN if there is one.
MEDLAR_FN Range range_of(const f32* x, u32 n) {
  Range r{x[0], x[0]};
  for (u32 i = 1; i < n; ++i) {
    if (x[i] < r.min || x[i] != x[i]) r.min = x[i];
    if (x[i] > r.max || x[i] != x[i]) r.max = x[i];
  }
  return r;
}
#endif

}  // namespace formats
}  // namespace medlar
