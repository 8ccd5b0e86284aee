// Dot products of a row of weights with a row of bytes (int8_rows.h), for each format of blocks. A lane takes
// a unit of 32 or 64 weights: it loads the unit's words as they are, unpacks four codes at a time to bytes,
// and multiplies them by the codes of x. Layouts are those of formats/.
//
// Int8Leaf<Block>: kUnit values of a unit, kUnits of them in a block; load<From>(block, lane, w) of the words
// of lane's unit (weight_source.h); load_x(row, step, lane, x) of the same part of x; dot(w, x, lane).
// In each step the lanes take 32 units side by side, so what a lane does is the same in each.
#pragma once

#include "kernels/gpu/int8_rows.h"
#include "kernels/gpu/weight_source.h"
#include "kernels/gpu/weights.h"

using medlar::formats::BlockIq4_NL;
using medlar::formats::BlockIq4_XS;
using medlar::formats::BlockMxfp4;
using medlar::formats::BlockQ2_K;
using medlar::formats::BlockQ3_K;
using medlar::formats::BlockQ4_0;
using medlar::formats::BlockQ4_1;
using medlar::formats::BlockQ4_K;
using medlar::formats::BlockQ5_0;
using medlar::formats::BlockQ5_1;
using medlar::formats::BlockQ5_K;
using medlar::formats::BlockQ6_K;
using medlar::formats::BlockQ8_0;

// --- the three ways that units lie in x

struct Int8X {
  static FN u32 x_row_bytes(u32 k) { return int8_row_bytes(k); }
  static FN f32 norm(const THREAD RowOfX& row, f32 eps, u32 lane) {
    return int8_norm(row.at, row.k, eps, lane);
  }
};

// 32 neighbours: one group of x.
struct Unit32 : Int8X {
  enum { kUnit = 32 };
  struct X {
    u32 q[8];
    f32 scale, sum;  // of the group: see int8_rows.h
  };
  static FN void load_x(const THREAD RowOfX& row, u32 step, u32 lane, THREAD X& x) {
    const DEVICE u8* at = row.at + int8_piece((step * 32 + lane) * 2);
    ld_u32x4(at, x.q);
    ld_u32x4(at + 512, x.q + 4);
    const DEVICE f32* factors = int8_factors(row.at, row.k) + step * 64 + lane * 2;
    x.scale = factors[0];
    x.sum = factors[1];
  }
};

// 64 neighbours: two groups.
struct Unit64 : Int8X {
  enum { kUnit = 64 };
  struct X {
    u32 q[16];
    f32 scale[2], sum[2];
  };
  static FN void load_x(const THREAD RowOfX& row, u32 step, u32 lane, THREAD X& x) {
    const DEVICE u8* at = row.at + step * kInt8Chunk + lane * 16;
    UNROLL for (u32 i = 0; i < 4; ++i) ld_u32x4(at + i * 512, x.q + i * 4);
    const f32x4 factors = ld_f32x4(int8_factors(row.at, row.k) + step * 128 + lane * 4);
    x.scale[0] = factors.x, x.sum[0] = factors.y, x.scale[1] = factors.z, x.sum[1] = factors.w;
  }
};

// Four runs of 16, 32 values apart, in half a superblock: unit 4 b + 2 h + s has those from 256 b + 128 h +
// 16 s on. `sum` is that of the codes of a run.
struct UnitRuns : Int8X {
  enum { kUnit = 64 };
  struct X {
    u32 q[16];
    f32 scale[4];
    i32 sum[4];
  };
  static FN void load_x(const THREAD RowOfX& row, u32 step, u32 lane, THREAD X& x) {
    const DEVICE f32* factors = int8_factors(row.at, row.k) + step * 128 + lane / 2 * 8;
    const DEVICE u8* at = row.at + step * kInt8Chunk + lane / 2 * 32 + lane % 2 * 512;
    UNROLL for (u32 i = 0; i < 4; ++i) {
      ld_u32x4(at + i / 2 * 16 + i % 2 * 1024, x.q + i * 4);
      x.scale[i] = factors[i * 2];
      x.sum[i] = 0;
      UNROLL for (u32 j = 0; j < 4; ++j) x.sum[i] = dot4_i8(0x01010101u, x.q[i * 4 + j], x.sum[i]);
    }
  }
};

// --- what several leaves do

// Words of sixteen bytes of nibbles by the 32 codes of x, low halves first: first the sum over the high
// halves times 16, without a shift, as both are in range.
FN i32 dot_nibbles(const THREAD u32* q, const THREAD u32* x) {
  i32 high = 0, low = 0;
  UNROLL for (u32 i = 0; i < 4; ++i) {
    low = dot4_u8(q[i] & 0x0F0F0F0Fu, x[i], low);
    high = dot4_u8(q[i] & 0xF0F0F0F0u, x[4 + i], high);
  }
  return low * 16 + high;
}

// Bit 4 j + i of `bits` as bit 4 of byte i, for i < 4.
FN u32 spread_bits(u32 bits, u32 j) { return ((bits >> 4 * j & 15u) * 0x02040810u) & 0x10101010u; }

// Sixteen bytes of nibbles with a fifth bit each.
FN i32 dot_five_bits(const THREAD u32* q, u32 bits, const THREAD u32* x) {
  i32 sum = 0;
  UNROLL for (u32 i = 0; i < 4; ++i) {
    sum = dot4_u8((q[i] & 0x0F0F0F0Fu) | spread_bits(bits, i), x[i], sum);
    sum = dot4_u8((q[i] >> 4 & 0x0F0F0F0Fu) | spread_bits(bits, 4 + i), x[4 + i], sum);
  }
  return sum;
}

// Sixteen bytes of nibbles into a table of sixteen signed bytes.
FN i32 dot_table(const THREAD u32* q, const CONSTANT i8* table, const THREAD u32* x) {
  u32 t[4];
  UNROLL for (u32 i = 0; i < 4; ++i) t[i] = (u32)(u8)table[i * 4] | (u32)(u8)table[i * 4 + 1] << 8 |
                                            (u32)(u8)table[i * 4 + 2] << 16 | (u32)(u8)table[i * 4 + 3] << 24;
  i32 sum = 0;
  UNROLL for (u32 i = 0; i < 4; ++i) {
    // Four nibbles at a time: bytes of both halves of the table, then those that bit 3 chooses.
    const u32 small = q[i] & 0x77777777u, choice = 0x32103210u | (q[i] & 0x88888888u) >> 1;
    const u32 a = byte_permute(byte_permute(t[0], t[1], small), byte_permute(t[2], t[3], small), choice);
    const u32 b = byte_permute(byte_permute(t[0], t[1], small >> 16), byte_permute(t[2], t[3], small >> 16),
                               choice >> 16);
    sum = dot4_i8(byte_permute(a, b, 0x6420u), x[i], sum);
    sum = dot4_i8(byte_permute(a, b, 0x7531u), x[4 + i], sum);
  }
  return sum;
}

FN f32 low_f16(u32 word) { return f16_bits_to_f32((u16)(word & 0xFFFFu)); }
FN f32 high_f16(u32 word) { return f16_bits_to_f32((u16)(word >> 16)); }

template <class Block>
struct Int8Leaf;

// --- blocks of 32: a few bytes of factors, then the codes. Where blocks have no alignment, words are loaded
// as they are aligned, and shifted when they are used: until then a lane does not wait for them.

template <class Block, u32 kWords>
struct UnalignedBlock : Unit32 {
  enum { kUnits = 1, kBlockBytes = sizeof(Block) };
  struct Words {
    u32 shift;
    u32 w[kWords];
  };
  template <class From>
  static FN void load(typename From::At b, u32, THREAD Words& w) {
    w.shift = From::shift(b);
    From::load_words(b, w.w, kWords, kBlockBytes);
  }
  static FN u32 head(const THREAD Words& w) { return w.w[0] >> w.shift; }
  // Words from byte `at` < 4 of the block on.
  static FN void words(const THREAD Words& w, u32 at, u32 first, u32 n, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < n; ++i) out[i] = shifted_word(w.w + first + i, w.shift + at * 8);
  }
};

template <>
struct Int8Leaf<BlockQ8_0> : UnalignedBlock<BlockQ8_0, 9> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    u32 q[8];
    words(w, 2, 0, 8, q);
    i32 sum = 0;
    UNROLL for (u32 i = 0; i < 8; ++i) sum = dot4_i8(q[i], x.q[i], sum);
    return low_f16(head(w)) * x.scale * (f32)sum;
  }
};

template <>
struct Int8Leaf<BlockQ4_0> : UnalignedBlock<BlockQ4_0, 5> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    u32 q[4];
    words(w, 2, 0, 4, q);
    return low_f16(head(w)) * g_fma((f32)dot_nibbles(q, x.q), x.scale * 0.0625f, -8.f * x.sum);
  }
};

template <>
struct Int8Leaf<BlockIq4_NL> : UnalignedBlock<BlockIq4_NL, 5> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    u32 q[4];
    words(w, 2, 0, 4, q);
    return low_f16(head(w)) * x.scale * (f32)dot_table(q, medlar::formats::kIq4Values, x.q);
  }
};

template <>
struct Int8Leaf<BlockMxfp4> : UnalignedBlock<BlockMxfp4, 5> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    u32 q[4];
    words(w, 1, 0, 4, q);
    return medlar::formats::half_scale(head(w) & 255u) * x.scale *
           (f32)dot_table(q, medlar::formats::kMxfp4Values, x.q);
  }
};

template <>
struct Int8Leaf<BlockQ5_0> : UnalignedBlock<BlockQ5_0, 6> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    u32 bits, q[4];
    words(w, 2, 0, 1, &bits);
    words(w, 2, 1, 4, q);
    return low_f16(head(w)) * g_fma((f32)dot_five_bits(q, bits, x.q), x.scale, -16.f * x.sum);
  }
};

// Blocks that are aligned to four bytes.
template <class Block>
struct AlignedBlock : Unit32 {
  enum { kUnits = 1, kBlockBytes = sizeof(Block) };
  struct Words {
    u32 w[sizeof(Block) / 4];
  };
  template <class From>
  static FN void load(typename From::At b, u32, THREAD Words& w) {
    UNROLL for (u32 i = 0; i < kBlockBytes / 4; ++i) w.w[i] = From::load_u32(b + i * 4);
  }
};

template <>
struct Int8Leaf<BlockQ4_1> : AlignedBlock<BlockQ4_1> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    const f32 sum = (f32)dot_nibbles(w.w + 1, x.q) * (x.scale * 0.0625f);
    return g_fma(low_f16(w.w[0]), sum, high_f16(w.w[0]) * x.sum);
  }
};

template <>
struct Int8Leaf<BlockQ5_1> : AlignedBlock<BlockQ5_1> {
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32) {
    const f32 sum = (f32)dot_five_bits(w.w + 2, w.w[1], x.q) * x.scale;
    return g_fma(low_f16(w.w[0]), sum, high_f16(w.w[0]) * x.sum);
  }
};

// --- superblocks of 256

template <>
struct Int8Leaf<BlockIq4_XS> : Unit32 {
  enum { kUnits = 8, kBlockBytes = sizeof(BlockIq4_XS) };
  struct Words {
    u32 head, scales, q[4];
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    w.head = From::load_u32(b);
    w.scales = From::load_u32(b + 4);
    UNROLL for (u32 i = 0; i < 4; ++i) w.q[i] = From::load_u32(b + 8 + lane % 8 * 16 + i * 4);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    const u32 group = lane % 8;
    const i32 scale = (i32)((w.scales >> group * 4 & 15u) | (w.head >> 16 >> group * 2 & 3u) << 4) - 32;
    return low_f16(w.head) * x.scale * (f32)(scale * dot_table(w.q, medlar::formats::kIq4Values, x.q));
  }
};

// The scales and minimums of groups 2 c and 2 c + 1, in bytes 0 and 1, from the three words behind the
// factors (six_bit_scale in formats/q4_k.h).
struct SixBitPair {
  u32 scales, mins;
};
FN SixBitPair six_bit_pair(const THREAD u32* head, u32 c) {
  const u32 at = c % 2 * 16, shift = at + (c < 2 ? 0u : 2u);
  const u32 upper = c < 2 ? 0x3F3Fu : 0x3030u, lower = c < 2 ? 0u : 0x0F0Fu;
  SixBitPair pair;
  pair.scales = (head[1] >> shift & upper) | (head[3] >> at & lower);
  pair.mins = (head[2] >> shift & upper) | (head[3] >> (at + 4) & lower);
  return pair;
}

// What two groups' sums come to: d (s0 a0 + s1 a1) - dmin (m0 x0 + m1 x1).
FN f32 affine_pair(const THREAD u32* head, u32 c, f32 a0, f32 a1, const THREAD Unit64::X& x) {
  const SixBitPair pair = six_bit_pair(head, c);
  const f32 s0 = (f32)(pair.scales & 255u) * x.scale[0], s1 = (f32)(pair.scales >> 8) * x.scale[1];
  const f32 m = g_fma((f32)(pair.mins & 255u), x.sum[0], (f32)(pair.mins >> 8) * x.sum[1]);
  return g_fma(low_f16(head[0]), g_fma(s0, a0, s1 * a1), -high_f16(head[0]) * m);
}

template <>
struct Int8Leaf<BlockQ4_K> : Unit64 {
  enum { kUnits = 4, kBlockBytes = sizeof(BlockQ4_K) };
  struct Words {
    u32 head[4], q[8];
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    From::load_u32x4(b, w.head);
    From::load_u32x4(b + 16 + lane % 4 * 32, w.q);
    From::load_u32x4(b + 32 + lane % 4 * 32, w.q + 4);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    i32 low = 0, high = 0;  // high: times 16
    UNROLL for (u32 i = 0; i < 8; ++i) {
      low = dot4_u8(w.q[i] & 0x0F0F0F0Fu, x.q[i], low);
      high = dot4_u8(w.q[i] & 0xF0F0F0F0u, x.q[8 + i], high);
    }
    return affine_pair(w.head, lane % 4, (f32)low, (f32)high * 0.0625f, x);
  }
};

template <>
struct Int8Leaf<BlockQ5_K> : Unit64 {
  enum { kUnits = 4, kBlockBytes = sizeof(BlockQ5_K) };
  struct Words {
    u32 head[4], high[8], q[8];
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    From::load_u32x4(b, w.head);
    From::load_u32x4(b + 16, w.high);
    From::load_u32x4(b + 32, w.high + 4);
    From::load_u32x4(b + 48 + lane % 4 * 32, w.q);
    From::load_u32x4(b + 64 + lane % 4 * 32, w.q + 4);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    const u32 c = lane % 4;
    i32 a0 = 0, a1 = 0;
    UNROLL for (u32 i = 0; i < 8; ++i) {
      const u32 bits = w.high[i] >> 2 * c;
      a0 = dot4_u8((w.q[i] & 0x0F0F0F0Fu) | (bits << 4 & 0x10101010u), x.q[i], a0);
      a1 = dot4_u8((w.q[i] >> 4 & 0x0F0F0F0Fu) | (bits << 3 & 0x10101010u), x.q[8 + i], a1);
    }
    return affine_pair(w.head, c, (f32)a0, (f32)a1, x);
  }
};

template <>
struct Int8Leaf<BlockQ6_K> : UnitRuns {
  enum { kUnits = 4, kBlockBytes = sizeof(BlockQ6_K) };
  struct Words {
    u32 shift, low[2][5], high[5], scales[3], d;
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    const u32 upper = lane / 2 % 2, at = lane % 2 * 16;
    w.shift = From::shift(b);
    From::load_words(b + upper * 64 + at, w.low[0], 5, 16);
    From::load_words(b + upper * 64 + 32 + at, w.low[1], 5, 16);
    From::load_words(b + 128 + upper * 32 + at, w.high, 5, 16);
    From::load_words(b + 192 + upper * 8, w.scales, 3, 8);
    w.d = From::load_u16(b + 208);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    i32 a[4];
    UNROLL for (u32 i = 0; i < 4; ++i) a[i] = -32 * x.sum[i];
    UNROLL for (u32 i = 0; i < 4; ++i) {
      const u32 h = shifted_word(w.high + i, w.shift);
      const u32 l0 = shifted_word(w.low[0] + i, w.shift), l1 = shifted_word(w.low[1] + i, w.shift);
      a[0] = dot4_u8((l0 & 0x0F0F0F0Fu) | (h << 4 & 0x30303030u), x.q[i], a[0]);
      a[1] = dot4_u8((l1 & 0x0F0F0F0Fu) | (h << 2 & 0x30303030u), x.q[4 + i], a[1]);
      a[2] = dot4_u8((l0 >> 4 & 0x0F0F0F0Fu) | (h & 0x30303030u), x.q[8 + i], a[2]);
      a[3] = dot4_u8((l1 >> 4 & 0x0F0F0F0Fu) | (h >> 2 & 0x30303030u), x.q[12 + i], a[3]);
    }
    f32 sum = 0.f;
    UNROLL for (u32 i = 0; i < 4; ++i) {
      const u32 scales = shifted_word(w.scales + i / 2, w.shift + lane % 2 * 8);
      sum = g_fma((f32)((i32)(i8)(u8)(scales >> i % 2 * 16 & 255u) * a[i]), x.scale[i], sum);
    }
    return low_f16(w.d) * sum;
  }
};

template <>
struct Int8Leaf<BlockQ3_K> : UnitRuns {
  enum { kUnits = 4, kBlockBytes = sizeof(BlockQ3_K) };
  struct Words {
    u32 shift, high[5], q[5], tail[4];  // tail: scales, d
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    const u32 upper = lane / 2 % 2, at = lane % 2 * 16;
    w.shift = From::shift(b);
    From::load_words(b + at, w.high, 5, 16);
    From::load_words(b + 32 + upper * 32 + at, w.q, 5, 16);
    From::load_words(b + 96, w.tail, 4, 14);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    const u32 upper = lane / 2 % 2;
    u32 scales[3];
    UNROLL for (u32 i = 0; i < 3; ++i) scales[i] = shifted_word(w.tail + i, w.shift);
    f32 sum = 0.f;
    UNROLL for (u32 j = 0; j < 4; ++j) {
      i32 a = -4 * x.sum[j];
      UNROLL for (u32 i = 0; i < 4; ++i) {
        const u32 low = shifted_word(w.q + i, w.shift) >> 2 * j & 0x03030303u;
        const u32 high = shifted_word(w.high + i, w.shift) >> (upper * 4 + j) & 0x01010101u;
        a = dot4_u8(low | high << 2, x.q[j * 4 + i], a);
      }
      // The scale of group 8 upper + 2 j + lane % 2: formats/q3_k.h.
      const u32 at = (j * 2 % 4 + lane % 2) * 8;
      const u32 low = scales[j / 2] >> (at + upper * 4) & 15u;
      const u32 high = scales[2] >> (at + upper * 4 + j / 2 * 2) & 3u;
      sum = g_fma((f32)(((i32)(low | high << 4) - 32) * a), x.scale[j], sum);
    }
    return low_f16(w.tail[3] >> w.shift) * sum;
  }
};

template <>
struct Int8Leaf<BlockQ2_K> : UnitRuns {
  enum { kUnits = 4, kBlockBytes = sizeof(BlockQ2_K) };
  struct Words {
    u32 q[4], scales[2], d;
  };
  template <class From>
  static FN void load(typename From::At b, u32 lane, THREAD Words& w) {
    const u32 upper = lane / 2 % 2, at = 16 + upper * 32 + lane % 2 * 16;
    UNROLL for (u32 i = 0; i < 2; ++i) w.scales[i] = From::load_u32(b + upper * 8 + i * 4);
    UNROLL for (u32 i = 0; i < 4; ++i) w.q[i] = From::load_u32(b + at + i * 4);
    w.d = From::load_u32(b + 80);
  }
  static FN f32 dot(const THREAD Words& w, const THREAD X& x, u32 lane) {
    f32 sum = 0.f, min = 0.f;
    UNROLL for (u32 j = 0; j < 4; ++j) {
      i32 a = 0;
      UNROLL for (u32 i = 0; i < 4; ++i) a = dot4_u8(w.q[i] >> 2 * j & 0x03030303u, x.q[j * 4 + i], a);
      const u32 packed = w.scales[j / 2] >> (j % 2 * 16 + lane % 2 * 8) & 255u;
      sum = g_fma((f32)((i32)(packed & 15u) * a), x.scale[j], sum);
      min = g_fma((f32)((i32)(packed >> 4) * x.sum[j]), x.scale[j], min);
    }
    return low_f16(w.d) * sum - high_f16(w.d) * min;
  }
};
