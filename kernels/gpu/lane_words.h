// What one lane of four brings of a row of weights for products in registers (linear_rows.h): of each 32
// columns eight neighbours, as f16. LaneWords<Format> loads kColumns columns' worth of them as they are in
// the file, load(row, k, end, c, words) for lane c of the four, and unpacks a step of 32 when its turn has
// come, unpack(words, step, c, out).
#pragma once

#include "kernels/gpu/f16_words.h"
#include "kernels/gpu/lane_units.h"
#include "kernels/gpu/prelude/lane_rows.h"

#ifdef GK_LANE_ROWS

// The column itself, or, behind the row's end, the begin of its last eight.
FN u32 column_in_row(u32 k, u32 end) {
  const u32 last = (end - 1) / 8 * 8;
  return k < last ? k : last;
}

template <class Format>
struct LaneWords {
  enum { kColumns = 64 };
  struct Words {
    u32 w[2][4];
  };
  static FN void load(const DEVICE u8* row, u32 k, u32 end, u32 c, THREAD Words& w) {
    UNROLL for (u32 s = 0; s < 2; ++s)
        F16Words<Format>::load(row, column_in_row(k + s * 32 + c * 8, end), end, w.w[s]);
  }
  static FN void unpack(const THREAD Words& w, u32 step, u32, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] = w.w[step][i];
  }
};

// Rows of 16-bit numbers, which begin at multiples of 16 bytes and are whole numbers of such.
struct LaneHalves {
  enum { kColumns = 64 };
  struct Words {
    u32 w[2][4];
  };
  static FN void load(const DEVICE u8* row, u32 k, u32 end, u32 c, THREAD Words& w) {
    UNROLL for (u32 s = 0; s < 2; ++s)
        ld_weight_u32x4(row + column_in_row(k + s * 32 + c * 8, end) * 2, w.w[s]);
  }
};

template <>
struct LaneWords<Rows<medlar::formats::BlockF16>> : LaneHalves {
  static FN void unpack(const THREAD Words& w, u32 step, u32, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] = w.w[step][i];
  }
};

template <>
struct LaneWords<Rows<medlar::formats::BlockBf16>> : LaneHalves {
  static FN void unpack(const THREAD Words& w, u32 step, u32, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] =
        f16_pair(bits_f32(w.w[step][i] << 16), bits_f32(w.w[step][i] & 0xFFFF0000u));
  }
};

template <>
struct LaneWords<Rows<medlar::formats::BlockQ8_0>> {
  enum { kColumns = 128 };
  struct Words {
    u32 w[4][3], shift[4], d[4];
  };
  static FN void load(const DEVICE u8* row, u32 k, u32 end, u32 c, THREAD Words& w) {
    UNROLL for (u32 s = 0; s < 4; ++s) {
      const DEVICE u8* b =
          row + column_in_row(k + s * 32, end) / 32 * (u32)sizeof(medlar::formats::BlockQ8_0);
      w.shift[s] = weight_shift(b + 2 + c * 8);
      ld_weight_words(b + 2 + c * 8, w.w[s], 3, 8);
      w.d[s] = ld_weight_u16(b);
    }
  }
  static FN void unpack(const THREAD Words& w, u32 step, u32, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 2; ++i)
        f16_bytes(shifted_word(w.w[step] + i, w.shift[step]) ^ 0x80808080u, 128, (u16)w.d[step], out + i * 2);
  }
};

// Byte 8 c + i of 32 has elements 8 c + i (low half) and 32 + 8 c + i of 64.
template <>
struct LaneWords<Rows<medlar::formats::BlockQ4_K>> {
  enum { kColumns = 256 };
  struct Words {
    u32 head[4], q[4][2];  // head: d, dmin and the groups' scales
  };
  static FN void load(const DEVICE u8* row, u32 k, u32, u32 c, THREAD Words& w) {
    const DEVICE u8* b = row + k / 256 * (u32)sizeof(medlar::formats::BlockQ4_K);
    ld_weight_u32x4(b, w.head);
    UNROLL for (u32 j = 0; j < 4; ++j) UNROLL for (u32 i = 0; i < 2; ++i) w.q[j][i] =
        ld_weight_u32(b + 16 + j * 32 + c * 8 + i * 4);
  }
  static FN void unpack(const THREAD Words& w, u32 step, u32, THREAD u32* out) {
    // The group's scale in the low half, its minimum in the high one: six_bit_scale in formats/q4_k.h.
    const u32 at = step % 4;
    u32 codes = byte_permute(w.head[1], w.head[2], at | (at + 4) << 8);
    if (step < 4) {
      codes &= 0x003F003Fu;
    } else {
      const u32 low = w.head[3] >> at * 8;
      codes = (codes >> 2 & 0x00300030u) | (low & 15u) | (low & 0xF0u) << 12;
    }
    const u32 factors = f16_scaled(codes, w.head[0]);
    const u32 s = (factors & 0xFFFFu) * 0x10001u, m = (factors >> 16) * 0x10001u;
    UNROLL for (u32 i = 0; i < 2; ++i)
        f16_affine(w.q[step / 2][i] >> step % 2 * 4 & 0x0F0F0F0Fu, s, m, out + i * 2);
  }
};

// Half a superblock: of the runs of 32 in it the lane has bytes 8 c to 8 c + 7, low and high halves of two
// words of codes, and two more bits from a third.
template <>
struct LaneWords<Rows<medlar::formats::BlockQ6_K>> {
  enum { kColumns = 128 };
  struct Words {
    u32 shift, low[2][3], high[3], scales[3], d;
  };
  static FN void load(const DEVICE u8* row, u32 k, u32, u32 c, THREAD Words& w) {
    const DEVICE u8* b = row + k / 256 * (u32)sizeof(medlar::formats::BlockQ6_K);
    const u32 half = k % 256 / 128;
    w.shift = weight_shift(b);
    UNROLL for (u32 i = 0; i < 2; ++i) ld_weight_words(b + half * 64 + i * 32 + c * 8, w.low[i], 3, 8);
    ld_weight_words(b + 128 + half * 32 + c * 8, w.high, 3, 8);
    ld_weight_words(b + 192 + half * 8, w.scales, 3, 8);
    w.d = ld_weight_u16(b + 208);
  }
  static FN void unpack(const THREAD Words& w, u32 step, u32 c, THREAD u32* out) {
    const u32 scales = shifted_word(w.scales + step / 2, w.shift) >> (step % 2 * 16 + c / 2 * 8);
    const f32 scale = f16_bits_to_f32((u16)w.d) * (f32)(i8)(u8)(scales & 255u);
    const u16 factor = (u16)f16_pair(scale, 0.f);
    UNROLL for (u32 i = 0; i < 2; ++i) {
      const u32 low = shifted_word(w.low[step % 2] + i, w.shift) >> step / 2 * 4 & 0x0F0F0F0Fu;
      const u32 high = shifted_word(w.high + i, w.shift) >> step * 2 & 0x03030303u;
      f16_bytes(low | high << 4, 32, factor, out + i * 2);
    }
  }
};

#endif
