// The words that the format headers are written in, so that GPU kernels can use their text as it is.
//
// Everything in a format header outside `#ifdef MEDLAR_HOST` is portable: C++14 without a library, a double,
// a lambda or a goto. A GPU prelude takes the place of this file and of formats/format.h and gives the words
// below a meaning of its own; the text of a format header, after that of the headers it includes, follows. It
// provides
//
//   u8 i8 u16 i16 u32 i32 u64 f32     types of these widths; blocks hold no other
//   MEDLAR_FN                         a static inline function
//   MEDLAR_DEVICE                     the address space of blocks and values; on every pointer parameter
//   MEDLAR_TABLE(T, name, n)          declares a constant table; an initializer follows
//   MEDLAR_LARGE_TABLE(T, name, n)    the same, of hundreds of entries, read at places that differ among
//   threads bits_u32(f32), bits_f32(u32)      the same bits as the other type f16_bits_to_f32(u16),
//   f32_to_f16_bits(f32), bf16_bits_to_f32(u16), f32_to_bf16_bits(f32)
//                                     IEEE 754 conversions; rounding to nearest, ties to even; NaN stays NaN
//
// and leaves MEDLAR_HOST undefined.
#pragma once

#include <bit>
#include <cstdint>

#define MEDLAR_HOST
// Not merely inline: files compiled for different instruction sets must not share one copy.
#define MEDLAR_FN [[maybe_unused]] static inline
#define MEDLAR_DEVICE
#define MEDLAR_TABLE(T, name, n) inline constexpr T name[n]
#define MEDLAR_LARGE_TABLE(T, name, n) MEDLAR_TABLE(T, name, n)

namespace medlar::formats {

static_assert(std::endian::native == std::endian::little, "blocks are read as they lie in the file");

using u8 = std::uint8_t;
using i8 = std::int8_t;
using u16 = std::uint16_t;
using i16 = std::int16_t;
using u32 = std::uint32_t;
using i32 = std::int32_t;
using u64 = std::uint64_t;
using f32 = float;

MEDLAR_FN u32 bits_u32(f32 v) { return std::bit_cast<u32>(v); }
MEDLAR_FN f32 bits_f32(u32 v) { return std::bit_cast<f32>(v); }

MEDLAR_FN f32 f16_bits_to_f32(u16 h) {
  constexpr u32 kRebias = (127 - 15) << 23;
  constexpr u32 kSmallest = 113 << 23;  // 2^-14 as f32, the smallest normal f16
  const u32 magnitude = (h & 0x7fffU) << 13;
  // A subnormal's fraction goes below an implicit one of weight 2^-14, which is then taken away. All three
  // cases are computed, for loops to become vectors.
  const u32 subnormal = bits_u32(bits_f32(magnitude + kSmallest) - bits_f32(kSmallest));
  const u32 normal = magnitude + kRebias;
  const u32 special = magnitude + 2 * kRebias;  // infinity, NaN
  const u32 value = magnitude < 1U << 23 ? subnormal : magnitude < 31U << 23 ? normal : special;
  return bits_f32((h & 0x8000U) << 16 | value);
}

MEDLAR_FN u16 f32_to_f16_bits(f32 v) {
  const u32 sign = bits_u32(v) >> 16 & 0x8000;
  const u32 magnitude = bits_u32(v) & 0x7fffffff;
  u32 h = 0;
  if (magnitude > 0x7f800000) {
    h = 0x7e00 | (magnitude >> 13 & 0x3ff);  // a quiet NaN
  } else if (magnitude >= 0x477ff000) {
    h = 0x7c00;  // 65520 and above round to infinity
  } else if (magnitude < 0x38800000) {
    // Below 2^-14: adding 0.5, whose unit in the last place is f16's smallest step 2^-24, rounds.
    h = bits_u32(bits_f32(magnitude) + 0.5F) - 0x3f000000;
  } else {
    h = (magnitude - ((127U - 15U) << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  }
  return static_cast<u16>(sign | h);
}

MEDLAR_FN f32 bf16_bits_to_f32(u16 h) { return bits_f32(static_cast<u32>(h) << 16); }

MEDLAR_FN u16 f32_to_bf16_bits(f32 v) {
  const u32 bits = bits_u32(v);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<u16>(bits >> 16 | 0x40);  // a quiet NaN
  return static_cast<u16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace medlar::formats
