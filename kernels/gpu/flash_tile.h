// Tiles of keys or values as f16 in threadgroup memory, for flash_attention.h: (keys, kHead + 8), zeros
// beyond the head's size and beyond the last key. Encoded keys of a page lie side by side, so a tile of
// blocks is first copied as it is, 16 bytes at a time, while the tile before is multiplied; dense ones are
// loaded when they are needed. What is beyond the range of f16 counts as +-65504.
#pragma once

#include "kernels/gpu/pages.h"
#include "kernels/gpu/weights.h"

// One KV head's keys, or values, of a sequence.
struct FlashSource {
  const DEVICE u8* base;
  const DEVICE i32* pages;
  u32 type, head, dim, row_bytes;
  u64 page_bytes;
};

// Two f16 without infinities.
FN u32 finite_pair(u32 pair) {
  if ((pair & 0x7FFFu) == 0x7C00u) pair -= 1;
  return (pair & 0x7FFF0000u) == 0x7C000000u ? pair - 0x10000u : pair;
}
FN u32 finite_pair(f32 a, f32 b) { return finite_pair(f16_pair(a, b)); }

FN const DEVICE u8* flash_key(const THREAD FlashSource& s, u32 key) {
  return s.base + kv_offset(s.pages, key, s.head, s.row_bytes, s.page_bytes);
}

// Starts to copy blocks; key0 is a multiple of kKeys, which divides a page.
template <class S>
FN void flash_request(const THREAD FlashSource& s, u32 key0, u32 tid, THREAD Copies& copies, TGMEM u8* raw) {
  if (s.type < kKvQ8_0) return;
  enum { kCopies = (S::kRaw / 16 + S::kTeamThreads - 1) / S::kTeamThreads };
  const DEVICE u8* from = flash_key(s, key0) + tid * 16;
  TGMEM u8* to = raw + tid * 16;
  const i32 bytes = (i32)(S::kKeys * s.row_bytes) - (i32)tid * 16;  // from here on
  UNROLL for (i32 i = 0; i < kCopies; ++i) {
    const i32 at = i * S::kTeamThreads * 16;
    if (at < bytes) copy16(copies, to + at, from + at);
  }
}

// Eight dense values as they lie in memory, to be loaded before they are needed.
template <class Block>
struct DensePiece;

template <>
struct DensePiece<medlar::formats::BlockF32> {
  enum { kWords = 8 };
  static FN void load(const DEVICE u8* row, u32 i0, THREAD u32* w) {
    ld_u32x4(row + i0 * 4, w);
    ld_u32x4(row + i0 * 4 + 16, w + 4);
  }
  static FN void pairs(const THREAD u32* w, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] = finite_pair(bits_f32(w[2 * i]), bits_f32(w[2 * i + 1]));
  }
};

template <>
struct DensePiece<medlar::formats::BlockF16> {
  enum { kWords = 4 };
  static FN void load(const DEVICE u8* row, u32 i0, THREAD u32* w) { ld_u32x4(row + i0 * 2, w); }
  static FN void pairs(const THREAD u32* w, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] = w[i];
  }
};

template <>
struct DensePiece<medlar::formats::BlockBf16> {
  enum { kWords = 4 };
  static FN void load(const DEVICE u8* row, u32 i0, THREAD u32* w) { ld_u32x4(row + i0 * 2, w); }
  static FN void pairs(const THREAD u32* w, THREAD u32* out) {
    UNROLL for (u32 i = 0; i < 4; ++i) out[i] =
        finite_pair(bits_f32(w[i] << 16), bits_f32(w[i] & 0xFFFF0000u));
  }
};

// How a team's threads share a tile: each takes kPieces pieces of kWidth values, in columns that are the same
// for all of them unless a row has more pieces than the team has threads.
template <class S, u32 kWidth>
struct TileShare {
  enum {
    kRow = S::kHead / kWidth,
    kPieces = S::kKeys * kRow / S::kTeamThreads,
    kAcross = kRow > S::kTeamThreads ? kRow / S::kTeamThreads : 1,
    kDown = kRow > S::kTeamThreads ? 1 : S::kTeamThreads / kRow
  };
  static FN u32 key(u32 tid, u32 n) { return tid / kRow + n / kAcross * kDown; }
  static FN u32 column(u32 tid, u32 n) { return (tid % kRow + n % kAcross * S::kTeamThreads) * kWidth; }
  static FN TGMEM f16* at(TGMEM f16* tile, u32 tid, u32 n) {
    return tile + key(tid, n) * S::kStride + column(tid, n);
  }
};

template <class S, class Block>
FN void fill_dense(const THREAD FlashSource& s, u32 key0, u32 end, u32 tid, TGMEM f16* tile) {
  typedef DensePiece<Block> Piece;
  typedef TileShare<S, 8> Share;
  enum { kPieces = Share::kPieces, kMost = (u32)S::kLoads / (u32)Piece::kWords };
  enum { kBatch = (u32)kPieces < (u32)kMost ? (u32)kPieces : (u32)kMost };  // on their way
  const DEVICE u8* first = flash_key(s, key0);
  NO_UNROLL for (u32 n0 = 0; n0 < kPieces; n0 += kBatch) {
    u32 w[kBatch][Piece::kWords];
    UNROLL for (u32 b = 0; b < kBatch; ++b) {
      const u32 key = Share::key(tid, n0 + b), column = Share::column(tid, n0 + b);
      UNROLL for (u32 i = 0; i < Piece::kWords; ++i) w[b][i] = 0;
      if (key0 + key < end && column < s.dim) Piece::load(first + key * s.row_bytes, column, w[b]);
    }
    UNROLL for (u32 b = 0; b < kBatch; ++b) {
      u32 out[4];
      Piece::pairs(w[b], out);
      st_u32x4(Share::at(tile, tid, n0 + b), out);
    }
  }
}

// The same for heads whose size is no multiple of eight.
template <class S>
FN void fill_odd(const THREAD FlashSource& s, u32 key0, u32 end, u32 tid, TGMEM f16* tile) {
  const DEVICE u8* first = flash_key(s, key0);
  NO_UNROLL for (u32 i = tid; i < S::kKeys * S::kHead; i += S::kTeamThreads) {
    const u32 key = i / S::kHead, column = i % S::kHead;
    f32 v = 0.f;
    if (key0 + key < end && column < s.dim) {
      const DEVICE u8* row = first + key * s.row_bytes;
      v = s.type == kKvF32   ? Rows<medlar::formats::BlockF32>::value(row, column)
          : s.type == kKvF16 ? Rows<medlar::formats::BlockF16>::value(row, column)
                             : Rows<medlar::formats::BlockBf16>::value(row, column);
    }
    tile[key * S::kStride + column] = to_f16(v > 65504.f ? 65504.f : v < -65504.f ? -65504.f : v);
  }
}

// Infinities in what this thread has stored become +-65504.
template <class S>
FN void make_finite(u32 tid, TGMEM f16* tile) {
  typedef TileShare<S, 16> Share;
  NO_UNROLL for (u32 i = 0; i < Share::kPieces * 16; ++i) {
    TGMEM f16* at = Share::at(tile, tid, i / 16) + i % 16;
    const f32 v = to_f32(*at);
    if (v > 65504.f || v < -65504.f) *at = to_f16(v > 0.f ? 65504.f : -65504.f);
  }
}

// Sixteen codes, four bytes each of `w`, times their scale.
FN void store_codes(const THREAD u32* w, u32 bias, u16 scale, TGMEM f16* to) {
  UNROLL for (u32 upper = 0; upper < 2; ++upper) {
    u32 out[4];
    f16_bytes(w[upper * 2], bias, scale, out);
    f16_bytes(w[upper * 2 + 1], bias, scale, out + 2);
    st_u32x4(to + upper * 8, out);
  }
}

// From the copied blocks of a scale and 32 codes of kBits bits: 34 or 18 bytes, at even addresses. What is
// beyond the head or the last key has scale 0: codes are never infinite.
template <class S, u32 kBits>
FN void fill_blocks(const THREAD FlashSource& s, u32 key0, u32 end, u32 tid, const TGMEM u8* raw,
                    TGMEM f16* tile) {
  typedef TileShare<S, 16> Share;
  enum { kPieces = Share::kPieces, kBatch = (u32)kPieces < 4 ? (u32)kPieces : 4u };
  const u32 bias = kBits == 8 ? 128 : 8, kLargest = 0x6000;  // 512 as f16: no code times it is infinite
  u32 largest = 0;
  NO_UNROLL for (u32 n0 = 0; n0 < kPieces; n0 += kBatch) UNROLL for (u32 n = n0; n < n0 + kBatch; ++n) {
    const u32 key = Share::key(tid, n), i0 = Share::column(tid, n), upper = i0 % 32 / 16;
    const u32 block = key * s.row_bytes + i0 / 32 * (2 + 4 * kBits);
    const u32 codes = block + 2 + (kBits == 8 ? upper * 16 : 0), selector = codes & 2 ? 0x5432 : 0x3210;
    const TGMEM u32* from = (const TGMEM u32*)(raw + (codes & ~3u));
    u32 w[4];
    UNROLL for (u32 i = 0; i < 4; ++i) {
      w[i] = byte_permute(from[i], from[i + 1], selector);
      w[i] = kBits == 8 ? w[i] ^ 0x80808080u : w[i] >> upper * 4 & 0x0F0F0F0Fu;
    }
    u16 scale = *(const TGMEM u16*)(raw + block);
    if (key0 + key >= end || i0 >= s.dim) scale = 0;
    largest = (scale & 0x7FFFu) > largest ? scale & 0x7FFFu : largest;
    store_codes(w, bias, scale, Share::at(tile, tid, n));
  }
  if (largest > kLargest) make_finite<S>(tid, tile);
}

// The tile of keys from key0 on; those from `end` on are zero, whatever memory holds there.
template <class S>
FN void flash_decode(const THREAD FlashSource& s, u32 key0, u32 end, u32 tid, const TGMEM u8* raw,
                     TGMEM f16* tile) {
  using namespace medlar::formats;
  if (s.type == kKvQ8_0) return fill_blocks<S, 8>(s, key0, end, tid, raw, tile);
  if (s.type == kKvQ4_0) return fill_blocks<S, 4>(s, key0, end, tid, raw, tile);
  if (s.dim % 8 != 0) return fill_odd<S>(s, key0, end, tid, tile);
  if (s.type == kKvF16) return fill_dense<S, BlockF16>(s, key0, end, tid, tile);
  if (s.type == kKvBf16) return fill_dense<S, BlockBf16>(s, key0, end, tid, tile);
  fill_dense<S, BlockF32>(s, key0, end, tid, tile);
}
