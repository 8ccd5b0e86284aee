// TQ1_0: 256 values -1, 0 or 1 as digits in base three, five in a byte, and an f16 scale.
#pragma once

#include "formats/format.h"
#include "formats/ternary.h"

namespace medlar {
namespace formats {

// Runs of bytes side by side hold one digit after the other: 32 bytes with elements 0 to 159, 16 bytes with
// elements 160 to 239, and four bytes, of four digits, with the others.
struct BlockTq1_0 {
  enum : u32 { kLength = 256 };
  u8 codes[52];
  u16 d;  // f16
};

struct TritPlace {
  u32 byte, digit;  // of the byte, the first one being the highest
};

MEDLAR_FN TritPlace trit_place(u32 i) {
  TritPlace at;
  if (i < 160) {
    at.byte = i % 32, at.digit = i / 32;
  } else if (i < 240) {
    at.byte = 32 + i % 16, at.digit = (i - 160) / 16;
  } else {
    at.byte = 48 + i % 4, at.digit = (i - 240) / 4;
  }
  return at;
}

MEDLAR_TABLE(u8, kPowersOfThree, 5) = {1, 3, 9, 27, 81};

// A byte is a fraction in units of 1/256: times a power of three it has the digit before its point.
MEDLAR_FN f32 decode(const MEDLAR_DEVICE BlockTq1_0* b, u32 i) {
  const TritPlace at = trit_place(i);
  const u32 rest = static_cast<u32>(b->codes[at.byte]) * kPowersOfThree[at.digit] & 255U;
  return f16_bits_to_f32(b->d) * static_cast<f32>(static_cast<i32>(rest * 3 >> 8) - 1);
}

#ifdef MEDLAR_HOST
MEDLAR_FN void encode(const f32* x, BlockTq1_0* b) {
  const TernaryBlock t = fit_ternary(x);
  *b = {.codes = {}, .d = t.d};
  u32 numbers[52] = {};
  for (u32 i = 0; i < 256; ++i) {
    const TritPlace at = trit_place(i);
    numbers[at.byte] += static_cast<u32>(t.codes[i]) * kPowersOfThree[4 - at.digit];
  }
  // Rounded up, so that each digit is found again.
  for (u32 k = 0; k < 52; ++k) b->codes[k] = static_cast<u8>((numbers[k] * 256 + 242) / 243);
}

struct Tq1_0 {
  using Block = BlockTq1_0;
  static constexpr FormatInfo info = describe<Block>(
      "tq1_0", DType::tq1_0, Use::weight,
      "Byte k: digits of elements 32 p + k, p < 5, k < 32. Byte 32 + k: of elements 160 + 16 p + k, p < 5, k "
      "< 16. Byte 48 + k: of elements 240 + 4 p + k, p < 4, k < 4. A byte v is the number in base three of "
      "five digits, of which p = 0 is the highest, times 256 / 243, rounded up: digit p is the integer part "
      "of 3 / 256 times the low eight bits of 3^p v. Bytes 52-53: f16 d. Value: d (digit - 1).");
};
#endif

}  // namespace formats
}  // namespace medlar
