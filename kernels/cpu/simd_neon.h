// The vector vocabulary on Advanced SIMD (NEON) of AArch64 with dotprod, and with or without i8mm: 4 floats.
#pragma once

#include <arm_neon.h>

namespace medlar::kernels::MEDLAR_ISA {

using F = float32x4_t;
using I = int32x4_t;
inline constexpr int kLanes = 4;
inline constexpr int kTileRows = 4;  // register tile of matmul.h
#if defined(MEDLAR_ISA_NEON_I8MM)
inline constexpr int kDotTileRows = 6;  // register tile of dot_panel.cpp: as many rows by two vectors
#else
inline constexpr int kDotTileRows = 4;  // the same
#endif
inline constexpr int kTileVectors = 4;

struct Full {};

MEDLAR_INLINE F load(const float* p, Full = {}) { return vld1q_f32(p); }
MEDLAR_INLINE F load(const float* p, Some s) {
  float some[4] = {};
  memcpy(some, p, static_cast<size_t>(s.count) * sizeof(float));
  return vld1q_f32(some);
}
MEDLAR_INLINE void store(float* p, F v, Full = {}) { vst1q_f32(p, v); }
MEDLAR_INLINE void store(float* p, F v, Some s) {
  float some[4];
  vst1q_f32(some, v);
  memcpy(p, some, static_cast<size_t>(s.count) * sizeof(float));
}
MEDLAR_INLINE F splat(float v) { return vdupq_n_f32(v); }
MEDLAR_INLINE F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
MEDLAR_INLINE F fnma(F a, F b, F c) { return vfmsq_f32(c, a, b); }
MEDLAR_INLINE F larger(F a, F b) { return vmaxq_f32(a, b); }   // NaN where either is
MEDLAR_INLINE F smaller(F a, F b) { return vminq_f32(a, b); }  // NaN where either is
MEDLAR_INLINE F absolute(F v) { return vabsq_f32(v); }
MEDLAR_INLINE float sum(F v) { return vaddvq_f32(v); }
MEDLAR_INLINE float largest(F v) { return vmaxvq_f32(v); }
MEDLAR_INLINE float lane0(F v) { return vgetq_lane_f32(v, 0); }
MEDLAR_INLINE F select_less(F a, F b, F yes, F no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
// yes where bit `kBit` is set.
template <int kBit>
MEDLAR_INLINE F select_bit(I v, F yes, F no) {
  return vbslq_f32(vtstq_s32(v, vdupq_n_s32(1 << kBit)), yes, no);
}
MEDLAR_INLINE F rounded(F v) { return vrndnq_f32(v); }
MEDLAR_INLINE I to_int(F v) { return vcvtnq_s32_f32(v); }
MEDLAR_INLINE F to_float(I v) { return vcvtq_f32_s32(v); }
MEDLAR_INLINE I splat_int(int32_t v) { return vdupq_n_s32(v); }
MEDLAR_INLINE I add_int(I a, I b) { return vaddq_s32(a, b); }
// v * 2^n for whole n in [-252, 252], with the hardware's overflow and underflow: two factors of half the
// power.
MEDLAR_INLINE F times_power_of_two(F v, F n) {
  const I whole = to_int(n);
  const I half = vshrq_n_s32(whole, 1);
  const I bias = vdupq_n_s32(127);
  const F a = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(half, bias), 23));
  const F b = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23));
  return vmulq_f32(vmulq_f32(v, a), b);
}

// Element i of vector j to element j of vector i.
MEDLAR_INLINE void transpose(I (&v)[kLanes]) {
  const int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(v[0], v[1]));
  const int64x2_t b = vreinterpretq_s64_s32(vtrn2q_s32(v[0], v[1]));
  const int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(v[2], v[3]));
  const int64x2_t d = vreinterpretq_s64_s32(vtrn2q_s32(v[2], v[3]));
  v[0] = vreinterpretq_s32_s64(vtrn1q_s64(a, c));
  v[1] = vreinterpretq_s32_s64(vtrn1q_s64(b, d));
  v[2] = vreinterpretq_s32_s64(vtrn2q_s64(a, c));
  v[3] = vreinterpretq_s32_s64(vtrn2q_s64(b, d));
}
MEDLAR_INLINE void transpose(F (&v)[kLanes]) {
  I t[4];
  for (int i = 0; i < 4; ++i) t[i] = vreinterpretq_s32_f32(v[i]);
  transpose(t);
  for (int i = 0; i < 4; ++i) v[i] = vreinterpretq_f32_s32(t[i]);
}

// From and to other element types, unaligned.
MEDLAR_INLINE uint16x4_t load_halves(const void* p, Full) {
  uint16x4_t halves;
  memcpy(&halves, p, sizeof halves);
  return halves;
}
MEDLAR_INLINE uint16x4_t load_halves(const void* p, Some s) {
  uint16_t halves[4] = {};
  memcpy(halves, p, static_cast<size_t>(s.count) * 2);
  return vld1_u16(halves);
}
template <class Lanes = Full>
MEDLAR_INLINE F load_f16(const void* p, Lanes lanes = {}) {
  return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p, lanes)));
}
template <class Lanes = Full>
MEDLAR_INLINE F load_bf16(const void* p, Lanes lanes = {}) {
  return vreinterpretq_f32_u32(vshll_n_u16(load_halves(p, lanes), 16));
}
MEDLAR_INLINE F load_i8(const int8_t* p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  const int16x8_t halves = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(word)));
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(halves)));
}
MEDLAR_INLINE void store_f16(void* p, F v) {
  const float16x4_t halves = vcvt_f16_f32(v);
  memcpy(p, &halves, sizeof halves);
}
// Rounded to nearest (ties to even) and saturated.
MEDLAR_INLINE void store_i8(int8_t* p, F v) {
  const int16x4_t halves = vqmovn_s32(to_int(v));
  const int8x8_t codes = vqmovn_s16(vcombine_s16(halves, halves));
  memcpy(p, &codes, 4);
}
MEDLAR_INLINE float load_f16_scalar(const void* p) {
  __fp16 half;
  memcpy(&half, p, sizeof half);
  return half;
}
MEDLAR_INLINE void store_f16_scalar(void* p, float v) {
  const __fp16 half = static_cast<__fp16>(v);
  memcpy(p, &half, sizeof half);
}

// --- Bytes: 64 codes of weights, in the order of their values

struct Codes {
  static constexpr int kVectors = 4;
  uint8x16_t v[4];
};

inline constexpr int kWideOffset = 0;  // codes of eight bits are stored signed

MEDLAR_INLINE uint8x16_t load_bytes(const void* p) { return vld1q_u8(static_cast<const uint8_t*>(p)); }
MEDLAR_INLINE Codes bytes32(const void* p, const void* q) {
  const auto* a = static_cast<const uint8_t*>(p);
  const auto* b = static_cast<const uint8_t*>(q);
  return {{vld1q_u8(a), vld1q_u8(a + 16), vld1q_u8(b), vld1q_u8(b + 16)}};
}
MEDLAR_INLINE Codes bytes64(const void* p) { return bytes32(p, static_cast<const uint8_t*>(p) + 32); }
// (b >> kFrom & mask) << kTo, mask being kBits ones.
template <int kBits, int kFrom, int kTo>
MEDLAR_INLINE uint8x16_t field(uint8x16_t b) {
  if constexpr (kFrom > kTo) b = vshrq_n_u8(b, kFrom - kTo);
  if constexpr (kFrom < kTo) b = vshlq_n_u8(b, kTo - kFrom);
  return vandq_u8(b, vdupq_n_u8(((1 << kBits) - 1) << kTo));
}
// For 32 bytes b: (b >> kFrom & mask) << kTo, then (b >> kFrom + kBits & mask) << kTo.
template <int kBits, int kFrom, int kTo>
MEDLAR_INLINE Codes fields32(const void* p) {
  const uint8x16_t a = load_bytes(p), b = load_bytes(static_cast<const uint8_t*>(p) + 16);
  return {{field<kBits, kFrom, kTo>(a), field<kBits, kFrom, kTo>(b), field<kBits, kFrom + kBits, kTo>(a),
           field<kBits, kFrom + kBits, kTo>(b)}};
}
// Bits kFrom to kFrom + 3 of 64 bytes.
template <int kFrom>
MEDLAR_INLINE Codes nibbles64(const void* p) {
  const Codes b = bytes64(p);
  return {{field<4, kFrom, 0>(b.v[0]), field<4, kFrom, 0>(b.v[1]), field<4, kFrom, 0>(b.v[2]),
           field<4, kFrom, 0>(b.v[3])}};
}
// Low then high nibbles of 16 bytes at p, then of 16 at q.
MEDLAR_INLINE Codes nibbles16(const void* p, const void* q) {
  const uint8x16_t a = load_bytes(p), b = load_bytes(q);
  return {{field<4, 0, 0>(a), field<4, 4, 0>(a), field<4, 0, 0>(b), field<4, 4, 0>(b)}};
}
// All ones where the bit of the low half of a word is set.
MEDLAR_INLINE uint8x16_t mask_of(uint32_t half) {
  const uint8x16_t byte_of = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
  const uint8x16_t spread = vqtbl1q_u8(vreinterpretq_u8_u32(vdupq_n_u32(half)), byte_of);
  return vtstq_u8(spread, bit);
}
template <int kTo>
MEDLAR_INLINE uint8x16_t bits_of(uint32_t half) {
  return vandq_u8(mask_of(half), vdupq_n_u8(1 << kTo));
}
// 1 << kTo where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kTo>
MEDLAR_INLINE Codes bits(uint32_t a, uint32_t b) {
  return {{bits_of<kTo>(a), bits_of<kTo>(a >> 16), bits_of<kTo>(b), bits_of<kTo>(b >> 16)}};
}
// kSum - c where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kSum>
MEDLAR_INLINE Codes mirror(Codes c, uint32_t a, uint32_t b) {
  const uint32_t halves[4] = {a, a >> 16, b, b >> 16};
  for (int i = 0; i < 4; ++i)
    c.v[i] = vbslq_u8(mask_of(halves[i]), vsubq_u8(vdupq_n_u8(kSum), c.v[i]), c.v[i]);
  return c;
}
// Eight codes of each word.
MEDLAR_INLINE Codes words(const uint64_t (&w)[8]) {
  Codes c;
  for (int i = 0; i < 4; ++i) c.v[i] = vcombine_u8(vcreate_u8(w[2 * i]), vcreate_u8(w[2 * i + 1]));
  return c;
}
MEDLAR_INLINE Codes operator|(Codes a, Codes b) {
  return {{vorrq_u8(a.v[0], b.v[0]), vorrq_u8(a.v[1], b.v[1]), vorrq_u8(a.v[2], b.v[2]),
           vorrq_u8(a.v[3], b.v[3])}};
}
MEDLAR_INLINE Codes widen(Codes c) { return c; }
// table[c], for c < 16.
MEDLAR_INLINE Codes lookup(const int8_t* table, Codes c) {
  const uint8x16_t values = load_bytes(table);
  return {{vqtbl1q_u8(values, c.v[0]), vqtbl1q_u8(values, c.v[1]), vqtbl1q_u8(values, c.v[2]),
           vqtbl1q_u8(values, c.v[3])}};
}
MEDLAR_INLINE void store_codes(void* p, Codes c) {
  for (int i = 0; i < 4; ++i) vst1q_u8(static_cast<uint8_t*>(p) + 16 * i, c.v[i]);
}
// Codes as store_codes leaves them.
MEDLAR_INLINE F load_code(const uint8_t* p) { return load_i8(reinterpret_cast<const int8_t*>(p)); }

// Of the codes that store_codes left, byte `byte` of each lane.
MEDLAR_INLINE F code_of_lanes(uint8x16_t codes, int byte) {
  const I top = vshlq_s32(vreinterpretq_s32_u8(codes), vdupq_n_s32(24 - 8 * byte));
  return vcvtq_f32_s32(vshrq_n_s32(top, 24));
}

// 1 at byte `at`, else 0.
MEDLAR_INLINE uint8x16_t one_byte(int at) {
  const uint8x16_t places =
      vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(0x0706050403020100), vcreate_u64(0x0F0E0D0C0B0A0908)));
  return vandq_u8(vceqq_u8(places, vdupq_n_u8(static_cast<uint8_t>(at))), vdupq_n_u8(1));
}
// Four bytes of activations in every lane.
MEDLAR_INLINE uint8x16_t splat4(const int8_t* p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return vreinterpretq_u8_u32(vdupq_n_u32(word));
}
// sum + the products of four neighbouring bytes, lane by lane; both operands signed.
template <bool>
MEDLAR_INLINE I dot4(I sum, uint8x16_t w, uint8x16_t x) {
  return vdotq_s32(sum, vreinterpretq_s8_u8(w), vreinterpretq_s8_u8(x));
}

// A run of such sums: as many as one register takes without overflow.
constexpr int run_steps(int sub, int) { return sub / 4; }
template <bool kWide, int>
MEDLAR_INLINE I dot4_run(I sum, uint8x16_t w, uint8x16_t x) {
  return dot4<kWide>(sum, w, x);
}
template <int>
MEDLAR_INLINE I end_run(I sum) {
  return sum;
}

// --- Four floats: the scales of four blocks

using Quad = float32x4_t;

MEDLAR_INLINE Quad load4(const float* p) { return vld1q_f32(p); }
// The first kCount, then zeros.
template <int kCount>
MEDLAR_INLINE Quad load4(const float* p) {
  if constexpr (kCount == 1) return vsetq_lane_f32(*p, vdupq_n_f32(0.0f), 0);
  if constexpr (kCount == 2) return vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
  return load4(p);
}
MEDLAR_INLINE void store4(float* p, Quad v) { vst1q_f32(p, v); }
MEDLAR_INLINE Quad splat_quad(float v) { return vdupq_n_f32(v); }
// The sum of each.
MEDLAR_INLINE Quad sums(F a, F b, F c, F d) { return vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)); }
MEDLAR_INLINE F extend(Quad v) { return v; }
MEDLAR_INLINE Quad fma4(Quad a, Quad b, Quad c) { return vfmaq_f32(c, a, b); }
// f16 at p, p + kStride, ...: kCount of them, then zeros.
template <int kStride, int kCount>
MEDLAR_INLINE Quad halves4(const std::byte* p) {
  uint16_t h[4] = {};
  for (int i = 0; i < kCount; ++i) memcpy(&h[i], p + i * kStride, 2);
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h)));
}
// The same, and of those that follow each.
template <int kStride, int kCount>
MEDLAR_INLINE void pairs_of_halves(const std::byte* p, Quad& first, Quad& second) {
  first = halves4<kStride, kCount>(p);
  second = halves4<kStride, kCount>(p + 2);
}
// The floats whose bits are given.
MEDLAR_INLINE Quad quad_of_bits(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const uint32_t words[4] = {a, b, c, d};
  return vreinterpretq_f32_u32(vld1q_u32(words));
}
// The scale of a product's lanes: of the 16 values, the first of which is value kStart.
template <int kSub, int kStart>
MEDLAR_INLINE F spread(Quad v) {
  return vdupq_laneq_f32(v, kStart / kSub);
}

// --- Eight or 16 floats: the scales of a block of 256

template <int kCount>
struct Floats {
  static constexpr int kVectors = kCount / 4;
  F v[kVectors];
};

// Bytes, four to a word, unsigned.
MEDLAR_INLINE Floats<8> floats_of_bytes(uint32_t a, uint32_t b) {
  const uint16x8_t halves = vmovl_u8(vcreate_u8(a | static_cast<uint64_t>(b) << 32));
  return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(halves))), vcvtq_f32_u32(vmovl_u16(vget_high_u16(halves)))}};
}
MEDLAR_INLINE Floats<16> floats_of_bytes(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const Floats<8> low = floats_of_bytes(a, b), high = floats_of_bytes(c, d);
  return {{low.v[0], low.v[1], high.v[0], high.v[1]}};
}
// 8 and 8 fields of six bits, packed in 12 bytes from p + 4 on, times the two halves at p: Q4_K's scales and
// minima.
MEDLAR_INLINE void six_bit_floats(const std::byte* p, Floats<8>& first, Floats<8>& second) {
  uint32_t a, b, c;
  memcpy(&a, p + 4, sizeof a);
  memcpy(&b, p + 8, sizeof b);
  memcpy(&c, p + 12, sizeof c);
  first = floats_of_bytes(a & 0x3F3F3F3F, (c & 0x0F0F0F0F) | (a >> 2 & 0x30303030));
  second = floats_of_bytes(b & 0x3F3F3F3F, (c >> 4 & 0x0F0F0F0F) | (b >> 2 & 0x30303030));
  for (F& v : first.v) v = v * splat(load_f16_scalar(p));
  for (F& v : second.v) v = v * splat(load_f16_scalar(p + 2));
}
// Fields of kBits bits from the lowest on.
template <int kBits>
MEDLAR_INLINE Floats<8> floats_of_fields(uint32_t word) {
  constexpr int32_t kShifts[4] = {0, -kBits, -2 * kBits, -3 * kBits};
  const uint32x4_t mask = vdupq_n_u32((1 << kBits) - 1);
  const auto fields = [&](uint32_t w) {
    return vandq_u32(vshlq_u32(vdupq_n_u32(w), vld1q_s32(kShifts)), mask);
  };
  return {{vcvtq_f32_u32(fields(word)), vcvtq_f32_u32(fields(word >> 4 * kBits))}};
}
template <int kCount>
MEDLAR_INLINE void store_floats(float* p, Floats<kCount> f) {
  for (int i = 0; i < Floats<kCount>::kVectors; ++i) vst1q_f32(p + 4 * i, f.v[i]);
}
template <int kCount>
MEDLAR_INLINE Floats<kCount> load_floats(const float* p) {
  Floats<kCount> f;
  for (int i = 0; i < Floats<kCount>::kVectors; ++i) f.v[i] = vld1q_f32(p + 4 * i);
  return f;
}
// Eight floats, each as often as it takes.
template <int kCount>
MEDLAR_INLINE Floats<kCount> stretch_floats(const float* p) {
  const Floats<8> f = load_floats<8>(p);
  if constexpr (kCount == 8) return f;
  if constexpr (kCount == 16) {
    return {{vzip1q_f32(f.v[0], f.v[0]), vzip2q_f32(f.v[0], f.v[0]), vzip1q_f32(f.v[1], f.v[1]),
             vzip2q_f32(f.v[1], f.v[1])}};
  }
}
template <int kSub, int kStart, int kCount>
MEDLAR_INLINE F spread(Floats<kCount> f) {
  return vdupq_laneq_f32(f.v[kStart / kSub / 4], kStart / kSub % 4);
}

// --- Codes of the KV cache by numbers of 16 bits (codes.h)

inline constexpr int kPack = 4;         // codes of a pack: the bytes themselves
inline constexpr int kPackRows = 4;     // register tile of codes.h
inline constexpr int kPackVectors = 2;  // the same

// Of products; a number is 256 times a high byte and a low byte, both signed.
struct Sums {
  I high, low;
};
// A pack of numbers in every lane.
struct Numbers {
  uint8x16_t high, low;
};

MEDLAR_INLINE Sums no_sums() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
MEDLAR_INLINE Numbers splat_numbers(const int16_t* p) {
  const auto* bytes = reinterpret_cast<const int8_t*>(p);
  return {splat4(bytes), splat4(bytes + 4)};
}
MEDLAR_INLINE Sums add_products(Sums sums, I packs, Numbers n) {
  const uint8x16_t codes = vreinterpretq_u8_s32(packs);
  return {dot4<true>(sums.high, codes, n.high), dot4<true>(sums.low, codes, n.low)};
}
MEDLAR_INLINE I whole(Sums sums) { return vaddq_s32(vshlq_n_s32(sums.high, 8), sums.low); }
// kLanes numbers, rounded to nearest, as a row of them lies in memory: four high bytes, four low bytes.
MEDLAR_INLINE void store_numbers(int16_t* p, F v) {
  const I words = to_int(v);
  const I high = vrshrq_n_s32(words, 8);
  const I low = vsubq_s32(words, vshlq_n_s32(high, 8));
  const int16x8_t halves = vcombine_s16(vmovn_s32(high), vmovn_s32(low));
  const int8x8_t bytes = vmovn_s16(halves);
  memcpy(p, &bytes, sizeof bytes);
}
// The four codes of each lane as packs: 4 / kPack rows of them, `stride` packs apart.
MEDLAR_INLINE void store_packs(I words, int32_t* to, int64_t) { vst1q_s32(to, words); }
MEDLAR_INLINE I load_packs(const int32_t* p) { return vld1q_s32(p); }
// Code i of the four rows to word i.
MEDLAR_INLINE void interleave4(const Codes (&rows)[4], I (&words)[64 / kLanes]) {
  for (int v = 0; v < 4; ++v) {
    const uint8x16_t a = vzip1q_u8(rows[0].v[v], rows[1].v[v]), b = vzip1q_u8(rows[2].v[v], rows[3].v[v]);
    const uint8x16_t c = vzip2q_u8(rows[0].v[v], rows[1].v[v]), d = vzip2q_u8(rows[2].v[v], rows[3].v[v]);
    const auto pairs = [](uint8x16_t x) { return vreinterpretq_u16_u8(x); };
    words[4 * v] = vreinterpretq_s32_u16(vzip1q_u16(pairs(a), pairs(b)));
    words[4 * v + 1] = vreinterpretq_s32_u16(vzip2q_u16(pairs(a), pairs(b)));
    words[4 * v + 2] = vreinterpretq_s32_u16(vzip1q_u16(pairs(c), pairs(d)));
    words[4 * v + 3] = vreinterpretq_s32_u16(vzip2q_u16(pairs(c), pairs(d)));
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
