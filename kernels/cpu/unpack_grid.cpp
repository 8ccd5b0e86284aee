// Weights whose codes are points of a grid, digits of base three, or have scales of their own kind, as bytes
// and floats. These types have one product, of what is unpacked (dot_unpacked.cpp), so each is a function
// here that unpacks one block: codes below 128, of which a value is scale * code - offset.
#include "kernels/cpu/grids.h"
#include "kernels/cpu/panel.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

MEDLAR_INLINE uint64_t long_at(const std::byte* p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
MEDLAR_INLINE uint32_t half_at(const std::byte* p) {
  uint16_t v;
  memcpy(&v, p, sizeof v);
  return v;
}
MEDLAR_INLINE uint32_t byte_at(const std::byte* p) { return static_cast<uint32_t>(*p); }

// scale = d (2 s + 1) for eight s of four bits, and offset = top * scale.
MEDLAR_INLINE void store_odd_scales(uint32_t codes, float d, float top, const Unpacked& to, int at) {
  Floats<8> s = floats_of_fields<4>(codes);
  for (F& v : s.v) v = fma(v, splat(2 * d), splat(d));
  store_floats(to.scale + at, s);
  store_floats(to.offset + at, s * top);
}

// The eighth sign of each eight: four times seven bits from bit 0 on become four bytes.
MEDLAR_INLINE uint32_t even_signs(uint32_t v) {
  const uint32_t s = (v & 0x7Fu) | (v << 1 & 0x7F00u) | (v << 2 & 0x7F0000u) | (v << 3 & 0x7F000000u);
  uint32_t odd = s ^ s >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return s | (odd & 0x01010101u) << 7;
}
// The same where the seven are the high bits of 16.
MEDLAR_INLINE uint32_t even_signs_of_halves(uint64_t v) {
  uint64_t s = v >> 9 & 0x007F007F007F007Full;
  uint64_t odd = s ^ s >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  s |= (odd & 0x0001000100010001ull) << 7;
  s = (s | s >> 8) & 0x0000FFFF0000FFFFull;
  return static_cast<uint32_t>(s | s >> 16);
}

void iq2_xxs(const std::byte* p, const Unpacked& to) {
  const float d = load_f16_scalar(p) * 0.125f;
  uint32_t scales = 0;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    uint32_t tail[2];
    MEDLAR_UNROLL
    for (int g = 0; g < 2; ++g) {
      const uint64_t group = long_at(p + 2 + 16 * part + 8 * g);
      MEDLAR_UNROLL
      for (int k = 0; k < 4; ++k) w[4 * g + k] = kIq2XxsPoints.at[group >> 8 * k & 255];
      tail[g] = static_cast<uint32_t>(group >> 32);
      scales |= tail[g] >> 28 << (8 * part + 4 * g);
    }
    store_codes(to.codes + 64 * part, mirror<86>(words(w), even_signs(tail[0]), even_signs(tail[1])));
  }
  store_odd_scales(scales, d, 43, to, 0);
}

void iq2_xs(const std::byte* p, const Unpacked& to) {
  const float d = load_f16_scalar(p) * 0.125f;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t halves[2] = {long_at(p + 2 + 16 * part), long_at(p + 10 + 16 * part)};
    MEDLAR_UNROLL
    for (int k = 0; k < 8; ++k) w[k] = kIq2XsPoints.at[halves[k / 4] >> 16 * (k % 4) & 511];
    store_codes(to.codes + 64 * part,
                mirror<86>(words(w), even_signs_of_halves(halves[0]), even_signs_of_halves(halves[1])));
  }
  store_odd_scales(word_at(p + 66), d, 43, to, 0);
  store_odd_scales(word_at(p + 70), d, 43, to, 8);
}

void iq2_s(const std::byte* p, const Unpacked& to) {
  const float d = load_f16_scalar(p) * 0.125f;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t low = long_at(p + 2 + 8 * part);
    const uint32_t high = half_at(p + 66 + 2 * part);
    MEDLAR_UNROLL
    for (int k = 0; k < 8; ++k) w[k] = kIq2SPoints.at[(low >> 8 * k & 255) | (high >> 2 * k & 3) << 8];
    const std::byte* signs = p + 34 + 8 * part;
    store_codes(to.codes + 64 * part, mirror<86>(words(w), word_at(signs), word_at(signs + 4)));
  }
  store_odd_scales(word_at(p + 74), d, 43, to, 0);
  store_odd_scales(word_at(p + 78), d, 43, to, 8);
}

void iq3_xxs(const std::byte* p, const Unpacked& to) {
  const float d = load_f16_scalar(p) * 0.25f;
  uint32_t scales = 0;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t points[2] = {long_at(p + 2 + 16 * part), long_at(p + 10 + 16 * part)};
    MEDLAR_UNROLL
    for (int k = 0; k < 8; ++k) {
      const uint64_t two = points[k / 4] >> 16 * (k % 4);
      w[k] = kIq3XxsPoints.at[two & 255] | static_cast<uint64_t>(kIq3XxsPoints.at[two >> 8 & 255]) << 32;
    }
    const uint32_t a = word_at(p + 66 + 8 * part), b = word_at(p + 70 + 8 * part);
    scales |= (a >> 28 | b >> 28 << 4) << 8 * part;
    store_codes(to.codes + 64 * part, mirror<124>(words(w), even_signs(a), even_signs(b)));
  }
  store_odd_scales(scales, d, 62, to, 0);
}

void iq3_s(const std::byte* p, const Unpacked& to) {
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t low[2] = {long_at(p + 2 + 16 * part), long_at(p + 10 + 16 * part)};
    const uint32_t high = half_at(p + 66 + 2 * part);
    MEDLAR_UNROLL
    for (int k = 0; k < 8; ++k) {
      const uint64_t two = low[k / 4] >> 16 * (k % 4);
      const uint32_t bits = high >> 2 * k;
      w[k] = kIq3SPoints.at[(two & 255) | (bits & 1) << 8] |
             static_cast<uint64_t>(kIq3SPoints.at[(two >> 8 & 255) | (bits & 2) << 7]) << 32;
    }
    const std::byte* signs = p + 74 + 8 * part;
    store_codes(to.codes + 64 * part, mirror<30>(words(w), word_at(signs), word_at(signs + 4)));
  }
  store_odd_scales(word_at(p + 106), load_f16_scalar(p), 15, to, 0);
}

void iq1_s(const std::byte* p, const Unpacked& to) {
  uint32_t scales = 0, down = 0;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t low = long_at(p + 2 + 8 * part);
    MEDLAR_UNROLL
    for (int g = 0; g < 2; ++g) {
      const uint32_t high = half_at(p + 34 + 4 * part + 2 * g);
      MEDLAR_UNROLL
      for (int k = 0; k < 4; ++k)
        w[4 * g + k] = kIq1Points.at[(low >> 8 * (4 * g + k) & 255) | (high >> 3 * k & 7) << 8];
      scales |= (high >> 12 & 7) << (8 * part + 4 * g);
      down |= high >> 15 << (2 * part + g);
    }
    store_codes(to.codes + 64 * part, words(w));
  }
  store_odd_scales(scales, load_f16_scalar(p), 1, to, 0);
  // A code is a value plus 1, and its shift is an eighth, up or down.
  Floats<8> offset = floats_of_fields<1>(down);
  const Floats<8> scale = load_floats<8>(to.scale);
  for (int i = 0; i < Floats<8>::kVectors; ++i)
    offset.v[i] = fma(offset.v[i], splat(0.25f), splat(0.875f)) * scale.v[i];
  store_floats(to.offset, offset);
}

// A code is eight times a value and its shift, plus 9.
void iq1_m(const std::byte* p, const Unpacked& to) {
  static constexpr uint64_t kUp[2] = {0x0202020202020202ull, 0};
  const uint64_t scales = long_at(p + 48);
  uint16_t bits = 0;
  for (int j = 0; j < 4; ++j) bits = static_cast<uint16_t>(bits | (scales >> (16 * j + 12) & 15) << 4 * j);
  const float d = load_f16_scalar(&bits) * 0.125f;
  for (int part = 0; part < 4; ++part) {
    uint64_t w[8];
    const uint64_t low = long_at(p + 8 * part);
    const uint32_t high = word_at(p + 32 + 4 * part);
    MEDLAR_UNROLL
    for (int k = 0; k < 8; ++k)
      w[k] =
          kIq1Points.at[(low >> 8 * k & 255) | (high >> 4 * k & 7) << 8] * 8 + kUp[high >> (4 * k + 3) & 1];
    store_codes(to.codes + 64 * part, words(w));
  }
  for (int half = 0; half < 2; ++half) {
    const auto six = static_cast<uint32_t>(scales >> 32 * half);
    Floats<8> s = floats_of_fields<3>((six & 0xFFF) | (six >> 4 & 0xFFF000));
    for (F& v : s.v) v = fma(v, splat(2 * d), splat(d));
    store_floats(to.scale + 8 * half, s);
    store_floats(to.offset + 8 * half, s * 9.0f);
  }
}

// One scale for all: d, and d as offset.
MEDLAR_INLINE void store_one_scale(float d, const Unpacked& to) {
  Floats<8> s;
  for (F& v : s.v) v = splat(d);
  store_floats(to.scale, s);
  store_floats(to.offset, s);
}

void tq2_0(const std::byte* p, const Unpacked& to) {
  for (int half = 0; half < 2; ++half) {
    store_codes(to.codes + 128 * half, fields32<2, 0, 0>(p + 32 * half));
    store_codes(to.codes + 128 * half + 64, fields32<2, 4, 0>(p + 32 * half));
  }
  store_one_scale(load_f16_scalar(p + 64), to);
}

// kBytes bytes' digits, the highest first: it is the integer part of three times a byte in units of 1/256,
// and three times the byte has the next one there.
template <int kBytes, int kDigits>
MEDLAR_INLINE void store_digits(const std::byte* p, uint8_t* to) {
  typedef uint8_t Bytes __attribute__((vector_size(kBytes)));  // as an alias GCC forgets a size that depends
  Bytes b;
  memcpy(&b, p, sizeof b);
  for (int digit = 0; digit < kDigits; ++digit) {
    const Bytes value = -((Bytes)(b >= 86) + (Bytes)(b >= 171));  // comparisons give -1
    memcpy(to + kBytes * digit, &value, sizeof value);
    b = b + b + b;
  }
}

void tq1_0(const std::byte* p, const Unpacked& to) {
  store_digits<32, 5>(p, to.codes);
  store_digits<16, 5>(p + 32, to.codes + 160);
  store_digits<4, 4>(p + 48, to.codes + 240);
  store_one_scale(load_f16_scalar(p + 52), to);
}

// A block of 64.
void nvfp4(const std::byte* p, const Unpacked& to) {
  constexpr uint64_t kLow = 0x0F0F0F0F0F0F0F0Full;
  uint64_t w[8];
  float scale[4];
  MEDLAR_UNROLL
  for (int g = 0; g < 4; ++g) {
    const uint64_t codes = long_at(p + 4 + 8 * g);
    w[2 * g] = codes & kLow, w[2 * g + 1] = codes >> 4 & kLow;
    scale[g] = kHalfE4m3.at[byte_at(p + g)];
  }
  store_codes(to.codes, lookup(kFp4, words(w)));
  store4(to.scale, load4(scale));
  store4(to.offset, load4(scale) * splat_quad(12));
}

// Blocks of kLength values and kBytes bytes, with a scale for each kSub.
template <void (*kBlock)(const std::byte*, const Unpacked&), int kLength, int kBytes, int kSub>
void blocks(const std::byte* p, int64_t n, const Unpacked& to) {
  for (int64_t at = 0; at < n; at += kLength, p += kBytes)
    kBlock(p, {to.codes + at, to.scale + at / kSub, to.offset + at / kSub});
}

}  // namespace

UnpackFn unpack_grid_for(DType type) {
  switch (type) {
    case DType::iq3_s:
      return blocks<iq3_s, 256, 110, 32>;
    case DType::iq3_xxs:
      return blocks<iq3_xxs, 256, 98, 32>;
    case DType::iq2_s:
      return blocks<iq2_s, 256, 82, 16>;
    case DType::iq2_xs:
      return blocks<iq2_xs, 256, 74, 16>;
    case DType::iq2_xxs:
      return blocks<iq2_xxs, 256, 66, 32>;
    case DType::iq1_m:
      return blocks<iq1_m, 256, 56, 16>;
    case DType::iq1_s:
      return blocks<iq1_s, 256, 50, 32>;
    case DType::tq2_0:
      return blocks<tq2_0, 256, 66, 32>;
    case DType::tq1_0:
      return blocks<tq1_0, 256, 54, 32>;
    case DType::nvfp4:
      return blocks<nvfp4, 64, 36, 16>;
    default:
      return nullptr;
  }
}

void unpack_block(DType type, const std::byte* p, int64_t n, uint8_t* codes, float* scale, float* offset) {
  unpack_grid_for(type)(p, n, {codes, scale, offset});
}

}  // namespace medlar::kernels::MEDLAR_ISA
