// Blocks of weights as vectors of codes and floats: value = scale * code - offset.
//
// Weights<type> describes a step of kStep values, a whole number of blocks:
//   kStepBytes, kSub          bytes of a step; values that share a scale
//   kWide                     codes take eight bits: signed, or with kWideOffset added (see simd_*.h); others
//   are
//                             below 128 and unsigned
//   codes<kPart>(p)           the codes of values [64 kPart, 64 kPart + 64)
//   scales(p)                 the scale and the offset of each kSub values
// Types with blocks of 32 also take a step of two blocks only, as scales<2>(p). Where a block is nothing but
// its scales and 16 bytes of codes, kNibbles is where in it these begin, and a value is the f16 at the begin
// times the code + kOffsetFactor times the f16 kSecond bytes behind it.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

template <DType kType>
struct Weights;

MEDLAR_INLINE uint32_t word_at(const std::byte* p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

// --- Blocks of 32: steps of four blocks

struct Scales32 {
  Quad scale, offset;
};

// offset = kOffset * scale.
template <int kBlockBytes, int kOffset, int kBlocks>
MEDLAR_INLINE Scales32 symmetric_scales(const std::byte* p) {
  const Quad d = halves4<kBlockBytes, kBlocks>(p);
  return {d, d * splat_quad(kOffset)};
}

// A scale and a minimum, that is, minus the offset.
template <int kBlockBytes, int kBlocks>
MEDLAR_INLINE Scales32 affine_scales(const std::byte* p) {
  Scales32 s;
  pairs_of_halves<kBlockBytes, kBlocks>(p, s.scale, s.offset);
  s.offset = s.offset * splat_quad(-1.0f);
  return s;
}

template <int kBlockBytes_, bool kWide_ = false>
struct Legacy {
  static constexpr int kBlockBytes = kBlockBytes_;
  static constexpr int kStep = 128, kStepBytes = 4 * kBlockBytes, kSub = 32;
  static constexpr bool kWide = kWide_;
  // The first block of part kPart, and the second.
  template <int kPart>
  static MEDLAR_INLINE const std::byte* one(const std::byte* p) {
    return p + 2 * kPart * kBlockBytes;
  }
  template <int kPart>
  static MEDLAR_INLINE const std::byte* two(const std::byte* p) {
    return p + (2 * kPart + 1) * kBlockBytes;
  }
};

template <>
struct Weights<DType::q4_0> : Legacy<18> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return nibbles16(one<kPart>(p) + 2, two<kPart>(p) + 2);
  }
  static constexpr int kNibbles = 2, kSecond = 0, kOffsetFactor = -8;
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return symmetric_scales<kBlockBytes, 8, kBlocks>(p);
  }
};

template <>
struct Weights<DType::q4_1> : Legacy<20> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return nibbles16(one<kPart>(p) + 4, two<kPart>(p) + 4);
  }
  static constexpr int kNibbles = 4, kSecond = 2, kOffsetFactor = 1;
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return affine_scales<kBlockBytes, kBlocks>(p);
  }
};

template <>
struct Weights<DType::q5_0> : Legacy<22> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    const std::byte *a = one<kPart>(p), *b = two<kPart>(p);
    return nibbles16(a + 6, b + 6) | bits<4>(word_at(a + 2), word_at(b + 2));
  }
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return symmetric_scales<kBlockBytes, 16, kBlocks>(p);
  }
};

template <>
struct Weights<DType::q5_1> : Legacy<24> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    const std::byte *a = one<kPart>(p), *b = two<kPart>(p);
    return nibbles16(a + 8, b + 8) | bits<4>(word_at(a + 4), word_at(b + 4));
  }
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return affine_scales<kBlockBytes, kBlocks>(p);
  }
};

template <>
struct Weights<DType::q8_0> : Legacy<34, true> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return widen(bytes32(one<kPart>(p) + 2, two<kPart>(p) + 2));
  }
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return symmetric_scales<kBlockBytes, kWideOffset, kBlocks>(p);
  }
};

// The 16 values of the non-linear four-bit types (IQ4_NL, IQ4_XS).
alignas(16) inline constexpr int8_t kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};

template <>
struct Weights<DType::iq4_nl> : Legacy<18, true> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return widen(lookup(kIq4, nibbles16(one<kPart>(p) + 2, two<kPart>(p) + 2)));
  }
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    return symmetric_scales<kBlockBytes, kWideOffset, kBlocks>(p);
  }
};

// Twice the values of FP4 E2M1, with 12 added.
alignas(16) inline constexpr int8_t kFp4[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

template <>
struct Weights<DType::mxfp4> : Legacy<17> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return lookup(kFp4, nibbles16(one<kPart>(p) + 1, two<kPart>(p) + 1));
  }
  template <int kBlocks>
  static MEDLAR_INLINE Scales32 scales(const std::byte* p) {
    const Quad d = quad_of_bits(half_scale(p), half_scale(p + 17), kBlocks > 2 ? half_scale(p + 34) : 0,
                                kBlocks > 2 ? half_scale(p + 51) : 0);
    return {d, d * splat_quad(12)};
  }
  // The bits of half of 2^(e - 127).
  static MEDLAR_INLINE uint32_t half_scale(const std::byte* p) {
    const auto e = static_cast<uint32_t>(*p);
    return e < 2 ? 0x00200000u << e : (e - 1) << 23;
  }
};

// --- Blocks of 256

template <int kCount>
struct Scales256 {
  Floats<kCount> scale, offset;
};

template <int kCount>
MEDLAR_INLINE Floats<kCount> operator*(Floats<kCount> f, float by) {
  for (F& v : f.v) v = v * splat(by);
  return f;
}

template <int kStepBytes_, int kSub_, bool kWide_ = false>
struct Super {
  static constexpr int kStep = 256, kStepBytes = kStepBytes_, kSub = kSub_;
  static constexpr bool kWide = kWide_;
};

// d and dmin, then 8 scales and 8 minima of six bits: as Q4_K and Q5_K begin.
MEDLAR_INLINE Scales256<8> six_bit_scales(const std::byte* p) {
  Scales256<8> s;
  six_bit_floats(p, s.scale, s.offset);
  return s;
}

template <>
struct Weights<DType::q4_k> : Super<144, 32> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return fields32<4, 0, 0>(p + 16 + 32 * kPart);
  }
  static MEDLAR_INLINE Scales256<8> scales(const std::byte* p) { return six_bit_scales(p); }
};

template <>
struct Weights<DType::q5_k> : Super<176, 32> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return fields32<4, 0, 0>(p + 48 + 32 * kPart) | fields32<1, 2 * kPart, 4>(p + 16);
  }
  static MEDLAR_INLINE Scales256<8> scales(const std::byte* p) { return six_bit_scales(p); }
};

// Low bits (128), high bits (64), 16 scales of eight bits, d. Each half of the block has 64 + 32 bytes.
template <>
struct Weights<DType::q6_k> : Super<210, 16> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    constexpr int kHalf = kPart / 2;
    const std::byte* low = p + 64 * kHalf;
    const std::byte* high = p + 128 + 32 * kHalf;
    if constexpr (kPart % 2 == 0) {
      return nibbles64<0>(low) | fields32<2, 0, 4>(high);
    } else {
      return nibbles64<4>(low) | fields32<2, 4, 4>(high);
    }
  }
  static MEDLAR_INLINE Scales256<16> scales(const std::byte* p) {
    Floats<16> s;
    for (int i = 0; i < Floats<16>::kVectors; ++i) {
      s.v[i] = load_i8(reinterpret_cast<const int8_t*>(p) + 192 + kLanes * i);
    }
    s = s * load_f16_scalar(p + 208);
    return {s, s * 32.0f};
  }
};

// 16 bytes of scale (low half) and minimum (high half), 64 bytes of codes of two bits, d, dmin.
template <>
struct Weights<DType::q2_k> : Super<84, 16> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return fields32<2, 4 * (kPart % 2), 0>(p + 16 + 32 * (kPart / 2));
  }
  static MEDLAR_INLINE Scales256<16> scales(const std::byte* p) {
    const uint32_t a = word_at(p), b = word_at(p + 4), c = word_at(p + 8), d = word_at(p + 12);
    constexpr uint32_t kLow = 0x0F0F0F0F;
    return {floats_of_bytes(a & kLow, b & kLow, c & kLow, d & kLow) * load_f16_scalar(p + 80),
            floats_of_bytes(a >> 4 & kLow, b >> 4 & kLow, c >> 4 & kLow, d >> 4 & kLow) *
                load_f16_scalar(p + 82)};
  }
};

// A third bit for each value (32 bytes), 64 bytes of codes of two bits, 16 scales of six bits, d. Value:
// d (scale - 32) (code - 4).
template <>
struct Weights<DType::q3_k> : Super<110, 16> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return fields32<2, 4 * (kPart % 2), 0>(p + 32 + 32 * (kPart / 2)) | fields32<1, 2 * kPart, 2>(p);
  }
  static MEDLAR_INLINE Scales256<16> scales(const std::byte* p) {
    const uint32_t a = word_at(p + 96), b = word_at(p + 100), c = word_at(p + 104);
    constexpr uint32_t kLow = 0x0F0F0F0F, kHigh = 0x30303030;
    Floats<16> s = floats_of_bytes((a & kLow) | (c << 4 & kHigh), (b & kLow) | (c << 2 & kHigh),
                                   (a >> 4 & kLow) | (c & kHigh), (b >> 4 & kLow) | (c >> 2 & kHigh));
    for (F& v : s.v) v = v - splat(32.0f);
    s = s * load_f16_scalar(p + 108);
    return {s, s * 4.0f};
  }
};

// d, the high bits of 8 scales (2 bytes), their low halves (4 bytes), 8 x 16 bytes of nibbles.
template <>
struct Weights<DType::iq4_xs> : Super<136, 32, true> {
  template <int kPart>
  static MEDLAR_INLINE Codes codes(const std::byte* p) {
    return widen(lookup(kIq4, nibbles16(p + 8 + 32 * kPart, p + 24 + 32 * kPart)));
  }
  static MEDLAR_INLINE Scales256<8> scales(const std::byte* p) {
    uint16_t high;
    memcpy(&high, p + 2, sizeof high);
    Floats<8> s = floats_of_fields<4>(word_at(p + 4));
    const Floats<8> two = floats_of_fields<2>(high);
    for (int i = 0; i < Floats<8>::kVectors; ++i) s.v[i] = fma(two.v[i], splat(16.0f), s.v[i] - splat(32.0f));
    s = s * load_f16_scalar(p);
    return {s, s * static_cast<float>(kWideOffset)};
  }
};

}  // namespace medlar::kernels::MEDLAR_ISA
