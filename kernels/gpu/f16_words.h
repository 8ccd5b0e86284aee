// Eight neighbouring values as f16 in four words: what products by tiles bring to threadgroup memory at once.
#pragma once

#include "kernels/gpu/common.h"
#include "kernels/gpu/weights.h"

FN void f16_words(const THREAD f32* v, THREAD u32* words) {
  UNROLL for (u32 i = 0; i < 4; ++i) words[i] = f16_pair(v[i * 2], v[i * 2 + 1]);
}

// Columns k to k + 7 of a row that ends at `end`, zeros from there on. load_aligned: the same, faster, where
// rows are whole numbers of 16 bytes and begin at such. Callers ask once which it is: a branch between loads
// would make one wait for the other.
template <class Format>
struct F16Words {
  enum { kHasAligned = 0 };
  static FN void load(const DEVICE u8* row, u32 k, u32 end, THREAD u32* words) {
    f32 v[8];
    Format::load8(row, k, end, v);
    f16_words(v, words);
  }
  static FN void load_aligned(const DEVICE u8* row, u32 k, u32 end, THREAD u32* words) {
    load(row, k, end, words);
  }
};

struct F16AsTheyAre {
  enum { kHasAligned = 1 };
  static FN void load_aligned(const DEVICE u8* row, u32 k, u32, THREAD u32* words) {
    ld_weight_u32x4(row + k * 2, words);
  }
  static FN void load(const DEVICE u8* row, u32 k, u32 end, THREAD u32* words) {
    f32 v[8];
    Rows<medlar::formats::BlockF16>::load8(row, k, end, v);
    f16_words(v, words);
  }
};

struct Q4KWords {
  enum { kHasAligned = 1 };
  // d, dmin and the groups' scales are a block's first 16 bytes.
  static FN void load_aligned(const DEVICE u8* row, u32 k, u32, THREAD u32* words) {
    const DEVICE u8* b = row + k / 256 * sizeof(medlar::formats::BlockQ4_K);
    const u32 i0 = k % 256, group = i0 / 32, shift = group % 4 * 8;
    u32 head[4], codes[2];
    ld_weight_u32x4(b, head);
    UNROLL for (u32 j = 0; j < 2; ++j) codes[j] = ld_weight_u32(b + 16 + i0 / 64 * 32 + i0 % 32 + j * 4);
    const u32 a = head[1] >> shift, c = head[2] >> shift, high = head[3] >> shift;
    const u32 scale_code = group < 4 ? a & 63u : (high & 15u) | (a >> 2 & 48u);
    const u32 min_code = group < 4 ? c & 63u : (high >> 4 & 15u) | (c >> 2 & 48u);
    const f32 scale = f16_bits_to_f32((u16)head[0]) * (f32)scale_code;
    const f32 min = f16_bits_to_f32((u16)(head[0] >> 16)) * (f32)min_code;
    f32 v[8];
    UNROLL for (u32 j = 0; j < 2; ++j) {
      const u32 nibbles = codes[j] >> group % 2 * 4 & 0x0F0F0F0Fu;
      UNROLL for (u32 i = 0; i < 4; ++i) v[j * 4 + i] = scale * byte_of(nibbles, i) - min;
    }
    f16_words(v, words);
  }
  static FN void load(const DEVICE u8* row, u32 k, u32 end, THREAD u32* words) {
    f32 v[8];
    Rows<medlar::formats::BlockQ4_K>::load8(row, k, end, v);
    f16_words(v, words);
  }
};

template <>
struct F16Words<Rows<medlar::formats::BlockF16>> : F16AsTheyAre {};
template <>
struct F16Words<Rows<medlar::formats::BlockQ4_K>> : Q4KWords {};
