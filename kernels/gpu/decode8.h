// Eight neighbouring weights of a block at once: for the formats that models mostly have by words, for the
// others one by one. The values are those of formats/.
#pragma once

#include "formats/q4_0.h"
#include "formats/q4_k.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/q8_0.h"
#include "kernels/gpu/common.h"

// out[i] = element i0 + i for i < 8, i0 a multiple of eight: which the compiler sees, so that what eight
// elements share is computed once.
template <class Block>
FN void decode8(const DEVICE Block* b, u32 i0, THREAD f32* out) {
  UNROLL for (u32 i = 0; i < 8; ++i) out[i] = decode(b, i0 / 8 * 8 | i);
}

FN u32 two_halves(const DEVICE u8* p) { return ld_weight_u16(p) | ld_weight_u16(p + 2) << 16; }

FN f32 byte_of(u32 word, u32 i) { return (f32)(word >> i % 4 * 8 & 255u); }

FN void decode8(const DEVICE medlar::formats::BlockQ8_0* b, u32 i0, THREAD f32* out) {
  const f32 d = f16_bits_to_f32(b->d);
  UNROLL for (u32 i = 0; i < 8; ++i) out[i] = d * (f32)b->codes[i0 + i];
}

FN void decode8(const DEVICE medlar::formats::BlockQ4_0* b, u32 i0, THREAD f32* out) {
  const f32 d = f16_bits_to_f32(b->d);
  UNROLL for (u32 j = 0; j < 2; ++j) {
    const u32 codes = two_halves(b->codes + i0 % 16 + j * 4) >> i0 / 16 * 4 & 0x0F0F0F0Fu;
    UNROLL for (u32 i = 0; i < 4; ++i) out[j * 4 + i] = d * (byte_of(codes, i) - 8.f);
  }
}

FN void decode8(const DEVICE medlar::formats::BlockQ4_K* b, u32 i0, THREAD f32* out) {
  const u32 group = i0 / 32;
  const f32 scale = f16_bits_to_f32(b->d) * (f32)medlar::formats::six_bit_scale(b->scales, group);
  const f32 min = f16_bits_to_f32(b->dmin) * (f32)medlar::formats::six_bit_min(b->scales, group);
  UNROLL for (u32 j = 0; j < 2; ++j) {
    const u32 codes = ld_weight_u32(b->codes + i0 / 64 * 32 + i0 % 32 + j * 4) >> group % 2 * 4 & 0x0F0F0F0Fu;
    UNROLL for (u32 i = 0; i < 4; ++i) out[j * 4 + i] = scale * byte_of(codes, i) - min;
  }
}

FN void decode8(const DEVICE medlar::formats::BlockQ5_K* b, u32 i0, THREAD f32* out) {
  const u32 group = i0 / 32;
  const f32 scale = f16_bits_to_f32(b->d) * (f32)medlar::formats::six_bit_scale(b->scales, group);
  const f32 min = f16_bits_to_f32(b->dmin) * (f32)medlar::formats::six_bit_min(b->scales, group);
  UNROLL for (u32 j = 0; j < 2; ++j) {
    const u32 low = ld_weight_u32(b->codes + i0 / 64 * 32 + i0 % 32 + j * 4) >> group % 2 * 4 & 0x0F0F0F0Fu;
    const u32 high = ld_weight_u32(b->high + i0 % 32 + j * 4) >> group & 0x01010101u;
    UNROLL for (u32 i = 0; i < 4; ++i) out[j * 4 + i] = scale * byte_of(low | high << 4, i) - min;
  }
}

FN void decode8(const DEVICE medlar::formats::BlockQ6_K* b, u32 i0, THREAD f32* out) {
  const f32 scale = f16_bits_to_f32(b->d) * (f32)b->scales[i0 / 16];
  UNROLL for (u32 j = 0; j < 2; ++j) {
    const u32 low = two_halves(b->codes + i0 / 128 * 64 + i0 % 64 + j * 4) >> i0 % 128 / 64 * 4 & 0x0F0F0F0Fu;
    const u32 high = two_halves(b->high + i0 / 128 * 32 + i0 % 32 + j * 4) >> i0 % 128 / 32 * 2 & 0x03030303u;
    UNROLL for (u32 i = 0; i < 4; ++i) out[j * 4 + i] = scale * (byte_of(low | high << 4, i) - 32.f);
  }
}
