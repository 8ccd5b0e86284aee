// The vector vocabulary on AVX2 with FMA and F16C, and with or without AVX-VNNI: 8 floats.
#pragma once

#include <immintrin.h>

namespace medlar::kernels::MEDLAR_ISA {

using F = __m256;
using I = __m256i;
inline constexpr int kLanes = 8;
inline constexpr int kTileRows = 4;     // register tile of matmul.h
inline constexpr int kDotTileRows = 3;  // register tile of dot_panel.cpp: as many rows by two vectors
inline constexpr int kTileVectors = 2;

struct Full {};

MEDLAR_INLINE I first(Some s) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(s.count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

MEDLAR_INLINE F load(const float* p, Full = {}) { return _mm256_loadu_ps(p); }
MEDLAR_INLINE F load(const float* p, Some s) { return _mm256_maskload_ps(p, first(s)); }
MEDLAR_INLINE void store(float* p, F v, Full = {}) { _mm256_storeu_ps(p, v); }
MEDLAR_INLINE void store(float* p, F v, Some s) { _mm256_maskstore_ps(p, first(s), v); }
MEDLAR_INLINE F splat(float v) { return _mm256_set1_ps(v); }
MEDLAR_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
MEDLAR_INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
MEDLAR_INLINE F larger(F a, F b) { return _mm256_max_ps(a, b); }   // b where either is NaN
MEDLAR_INLINE F smaller(F a, F b) { return _mm256_min_ps(a, b); }  // b where either is NaN
MEDLAR_INLINE F absolute(F v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
MEDLAR_INLINE float sum(F v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
MEDLAR_INLINE float largest(F v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
MEDLAR_INLINE float lane0(F v) { return _mm256_cvtss_f32(v); }
MEDLAR_INLINE F select_less(F a, F b, F yes, F no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
// yes where bit `kBit` is set.
template <int kBit>
MEDLAR_INLINE F select_bit(I v, F yes, F no) {
  return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(_mm256_slli_epi32(v, 31 - kBit)));
}
MEDLAR_INLINE F rounded(F v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
MEDLAR_INLINE I to_int(F v) { return _mm256_cvtps_epi32(v); }
MEDLAR_INLINE F to_float(I v) { return _mm256_cvtepi32_ps(v); }
MEDLAR_INLINE I splat_int(int32_t v) { return _mm256_set1_epi32(v); }
MEDLAR_INLINE I add_int(I a, I b) { return _mm256_add_epi32(a, b); }
// v * 2^n for whole n in [-252, 252], with the hardware's overflow and underflow: two factors of half the
// power.
MEDLAR_INLINE F times_power_of_two(F v, F n) {
  const I whole = to_int(n);
  const I half = _mm256_srai_epi32(whole, 1);
  const I bias = _mm256_set1_epi32(127);
  const F a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const F b =
      _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23));
  return v * a * b;
}

// Element i of vector j to element j of vector i.
MEDLAR_INLINE void transpose(I (&v)[kLanes]) {
  I t[8];
  MEDLAR_UNROLL
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  MEDLAR_UNROLL
  for (int i = 0; i < 8; i += 4) {
    v[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  MEDLAR_UNROLL
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm256_permute2x128_si256(v[c], v[c + 4], 0x20);
    t[c + 4] = _mm256_permute2x128_si256(v[c], v[c + 4], 0x31);
  }
  MEDLAR_UNROLL
  for (int i = 0; i < 8; ++i) v[i] = t[i];
}
MEDLAR_INLINE void transpose(F (&v)[kLanes]) {
  I t[8];
  MEDLAR_UNROLL
  for (int i = 0; i < 8; ++i) t[i] = _mm256_castps_si256(v[i]);
  transpose(t);
  MEDLAR_UNROLL
  for (int i = 0; i < 8; ++i) v[i] = _mm256_castsi256_ps(t[i]);
}

// From and to other element types, unaligned.
MEDLAR_INLINE __m128i load_halves(const void* p, Some s) {
  alignas(16) uint16_t halves[8] = {};
  memcpy(halves, p, static_cast<size_t>(s.count) * 2);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(halves));
}
MEDLAR_INLINE __m128i load_halves(const void* p, Full) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
template <class Lanes = Full>
MEDLAR_INLINE F load_f16(const void* p, Lanes lanes = {}) {
  return _mm256_cvtph_ps(load_halves(p, lanes));
}
template <class Lanes = Full>
MEDLAR_INLINE F load_bf16(const void* p, Lanes lanes = {}) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(p, lanes)), 16));
}
MEDLAR_INLINE F load_i8(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
MEDLAR_INLINE void store_f16(void* p, F v) {
  _mm_storeu_si128(static_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Rounded to nearest (ties to even) and saturated.
MEDLAR_INLINE void store_i8(int8_t* p, F v) {
  const I words = _mm256_cvtps_epi32(v);
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(halves, halves));
}
MEDLAR_INLINE float load_f16_scalar(const void* p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return _cvtsh_ss(half);
}
MEDLAR_INLINE void store_f16_scalar(void* p, float v) {
  const uint16_t half = _cvtss_sh(v, _MM_FROUND_TO_NEAREST_INT);
  memcpy(p, &half, sizeof half);
}

// --- Bytes: 64 codes of weights, in the order of their values

struct Codes {
  static constexpr int kVectors = 2;
  __m256i v[2];
};

#if defined(MEDLAR_ISA_AVX2_VNNI)
// Codes of eight bits are stored with 128 added, because the left operand of a product of bytes is unsigned.
inline constexpr int kWideOffset = 128;
#else
inline constexpr int kWideOffset = 0;  // codes of eight bits are stored signed
#endif

MEDLAR_INLINE __m256i load_bytes(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
MEDLAR_INLINE Codes bytes32(const void* p, const void* q) { return {{load_bytes(p), load_bytes(q)}}; }
MEDLAR_INLINE Codes bytes64(const void* p) { return bytes32(p, static_cast<const char*>(p) + 32); }
template <int kRight>
MEDLAR_INLINE __m256i shift_words(__m256i v) {  // right, or left where negative
  if constexpr (kRight > 0) return _mm256_srli_epi16(v, kRight);
  if constexpr (kRight < 0) return _mm256_slli_epi16(v, -kRight);
  return v;
}
// For 32 bytes b: (b >> kFrom & mask) << kTo, then (b >> kFrom + kBits & mask) << kTo, mask being kBits ones.
template <int kBits, int kFrom, int kTo>
MEDLAR_INLINE Codes fields32(const void* p) {
  const __m256i mask = _mm256_set1_epi8(static_cast<char>(((1 << kBits) - 1) << kTo));
  const __m256i b = load_bytes(p);
  return {{_mm256_and_si256(shift_words<kFrom - kTo>(b), mask),
           _mm256_and_si256(shift_words<kFrom + kBits - kTo>(b), mask)}};
}
MEDLAR_INLINE __m256i nibbles16_of(const void* p) {
  const __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  const __m256i shifted = _mm256_srlv_epi64(both, _mm256_setr_epi64x(0, 0, 4, 4));
  return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
}
// Bits kFrom to kFrom + 3 of 64 bytes.
template <int kFrom>
MEDLAR_INLINE Codes nibbles64(const void* p) {
  const Codes b = bytes64(p);
  const __m256i mask = _mm256_set1_epi8(15);
  return {{_mm256_and_si256(shift_words<kFrom>(b.v[0]), mask),
           _mm256_and_si256(shift_words<kFrom>(b.v[1]), mask)}};
}
// Low then high nibbles of 16 bytes at p, then of 16 at q.
MEDLAR_INLINE Codes nibbles16(const void* p, const void* q) { return {{nibbles16_of(p), nibbles16_of(q)}}; }
// All ones where the bit of `word` is set.
MEDLAR_INLINE __m256i mask_of(uint32_t word) {
  const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word)), byte_of);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
}
template <int kTo>
MEDLAR_INLINE __m256i bits_of(uint32_t word) {
  return _mm256_and_si256(mask_of(word), _mm256_set1_epi8(1 << kTo));
}
// 1 << kTo where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kTo>
MEDLAR_INLINE Codes bits(uint32_t a, uint32_t b) {
  return {{bits_of<kTo>(a), bits_of<kTo>(b)}};
}
template <int kSum>
MEDLAR_INLINE __m256i mirror(__m256i c, uint32_t word) {
  const __m256i mask = mask_of(word);  // ~c + kSum + 1 where it is set
  return _mm256_add_epi8(_mm256_xor_si256(c, mask), _mm256_and_si256(mask, _mm256_set1_epi8(kSum + 1)));
}
// kSum - c where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kSum>
MEDLAR_INLINE Codes mirror(Codes c, uint32_t a, uint32_t b) {
  return {{mirror<kSum>(c.v[0], a), mirror<kSum>(c.v[1], b)}};
}
// Eight codes of each word.
MEDLAR_INLINE Codes words(const uint64_t (&w)[8]) {
  const auto at = [&](int i) __attribute__((always_inline)) { return static_cast<long long>(w[i]); };
  return {{_mm256_setr_epi64x(at(0), at(1), at(2), at(3)), _mm256_setr_epi64x(at(4), at(5), at(6), at(7))}};
}
MEDLAR_INLINE Codes operator|(Codes a, Codes b) {
  return {{_mm256_or_si256(a.v[0], b.v[0]), _mm256_or_si256(a.v[1], b.v[1])}};
}
// Signed bytes to the form that wide codes have.
MEDLAR_INLINE Codes widen(Codes c) {
  if constexpr (kWideOffset == 0) return c;
  const __m256i flip = _mm256_set1_epi8(-128);
  return {{_mm256_xor_si256(c.v[0], flip), _mm256_xor_si256(c.v[1], flip)}};
}
// table[c], for c < 16.
MEDLAR_INLINE Codes lookup(const int8_t* table, Codes c) {
  const __m256i values =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {{_mm256_shuffle_epi8(values, c.v[0]), _mm256_shuffle_epi8(values, c.v[1])}};
}
MEDLAR_INLINE void store_codes(void* p, Codes c) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), c.v[0]);
  _mm256_storeu_si256(static_cast<__m256i*>(p) + 1, c.v[1]);
}
// Codes as store_codes leaves them.
MEDLAR_INLINE F load_code(const uint8_t* p) {
  if constexpr (kWideOffset == 0) return load_i8(reinterpret_cast<const int8_t*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}

// Of the codes that store_codes left, byte `byte` of each lane.
MEDLAR_INLINE F code_of_lanes(I codes, int byte) {
  const I top = _mm256_sll_epi32(codes, _mm_cvtsi32_si128(24 - 8 * byte));
  return _mm256_cvtepi32_ps(kWideOffset == 0 ? _mm256_srai_epi32(top, 24) : _mm256_srli_epi32(top, 24));
}

// 1 at byte `at`, else 0.
MEDLAR_INLINE I one_byte(int at) {
  const I places = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
                                    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
  const I found = _mm256_cmpeq_epi8(places, _mm256_set1_epi8(static_cast<char>(at)));
  return _mm256_and_si256(found, _mm256_set1_epi8(1));
}
// Four bytes of activations in every lane.
MEDLAR_INLINE I splat4(const int8_t* p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm256_set1_epi32(word);
}
#if defined(MEDLAR_ISA_AVX2_VNNI)
// sum + the products of four neighbouring bytes, lane by lane; w unsigned.
template <bool>
MEDLAR_INLINE I dot4(I sum, I w, I x) {
  return _mm256_dpbusd_avx_epi32(sum, w, x);
}
// A run of such sums: as many as one register takes without overflow.
constexpr int run_steps(int sub, int) { return sub / 4; }
template <bool kWide, int>
MEDLAR_INLINE I dot4_run(I sum, I w, I x) {
  return dot4<kWide>(sum, w, x);
}
template <int>
MEDLAR_INLINE I end_run(I sum) {
  return sum;
}
#else
// sum + the products of four neighbouring bytes, lane by lane. kWide: w is any signed byte, else it is in
// [0, 128). The sums of two products fit 16 bits: 2 * 127 * 128 < 2^15, as activations are in [-127, 127].
template <bool kWide>
MEDLAR_INLINE I dot4(I sum, I w, I x) {
  const I pairs =
      kWide ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

// A run of such sums in 16 bits, of codes up to `top`: as many as cannot overflow, for sub / 4 in all.
constexpr int run_steps(int sub, int top) {
  int steps = sub / 4;
  while (steps > 1 && 2 * 127 * top * steps > 32767) steps /= 2;
  return steps;
}
template <bool kWide, int kSteps>
MEDLAR_INLINE I dot4_run(I sum, I w, I x) {
  if constexpr (kSteps == 1) return dot4<kWide>(sum, w, x);
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x));
}
template <int kSteps>
MEDLAR_INLINE I end_run(I sum) {
  if constexpr (kSteps == 1) return sum;
  return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

#endif

// --- Four floats: the scales of four blocks

using Quad = __m128;

MEDLAR_INLINE Quad load4(const float* p) { return _mm_loadu_ps(p); }
// The first kCount, then zeros.
template <int kCount>
MEDLAR_INLINE Quad load4(const float* p) {
  if constexpr (kCount == 1) return _mm_load_ss(p);
  if constexpr (kCount == 2) return _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(p)));
  return load4(p);
}
MEDLAR_INLINE void store4(float* p, Quad v) { _mm_storeu_ps(p, v); }
MEDLAR_INLINE Quad splat_quad(float v) { return _mm_set1_ps(v); }
// The sum of each.
MEDLAR_INLINE Quad sums(F a, F b, F c, F d) {
  const F ab = _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b);
  const F cd = _mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d);
  const F all = _mm256_shuffle_ps(ab, cd, 0x44) + _mm256_shuffle_ps(ab, cd, 0xEE);
  return _mm256_castps256_ps128(all) + _mm256_extractf128_ps(all, 1);
}
MEDLAR_INLINE F extend(Quad v) { return _mm256_zextps128_ps256(v); }  // with zeros
MEDLAR_INLINE Quad fma4(Quad a, Quad b, Quad c) { return _mm_fmadd_ps(a, b, c); }
// Four bytes at p, p + kStride, ...: kCount of them, then zeros.
template <int kStride, int kCount>
MEDLAR_INLINE __m128i words4(const std::byte* p) {
  __m128i w[4] = {};
  for (int i = 0; i < kCount; ++i) {
    int32_t word;
    memcpy(&word, p + i * kStride, sizeof word);
    w[i] = _mm_cvtsi32_si128(word);
  }
  return _mm_unpacklo_epi64(_mm_unpacklo_epi32(w[0], w[1]), _mm_unpacklo_epi32(w[2], w[3]));
}
// f16 at p, p + kStride, ...: kCount of them, then zeros.
template <int kStride, int kCount>
MEDLAR_INLINE Quad halves4(const std::byte* p) {
  const __m128i first = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  return _mm_cvtph_ps(_mm_shuffle_epi8(words4<kStride, kCount>(p), first));
}
// The same, and of those that follow each.
template <int kStride, int kCount>
MEDLAR_INLINE void pairs_of_halves(const std::byte* p, Quad& first, Quad& second) {
  const __m256 both = _mm256_cvtph_ps(words4<kStride, kCount>(p));
  const __m128 low = _mm256_castps256_ps128(both), high = _mm256_extractf128_ps(both, 1);
  first = _mm_shuffle_ps(low, high, 0x88);
  second = _mm_shuffle_ps(low, high, 0xDD);
}
// For lane i, (kStart + 4 i) / kSub: which scale the values have that lane i of a product of bytes sums,
// where the first of its 32 values is value kStart.
template <int kSub, int kStart>
MEDLAR_INLINE I scale_index() {
  return _mm256_setr_epi32((kStart + 0) / kSub, (kStart + 4) / kSub, (kStart + 8) / kSub,
                           (kStart + 12) / kSub, (kStart + 16) / kSub, (kStart + 20) / kSub,
                           (kStart + 24) / kSub, (kStart + 28) / kSub);
}
// The scales of a product's lanes.
template <int kSub, int kStart>
MEDLAR_INLINE F spread(Quad v) {
  static_assert(kSub == 32);  // one lane to all, without a vector of indices
  return _mm256_permute_ps(_mm256_set_m128(v, v), kStart / 32 * 0x55);
}
// The floats whose bits are given.
MEDLAR_INLINE Quad quad_of_bits(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return _mm_castsi128_ps(
      _mm_setr_epi32(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c), static_cast<int>(d)));
}

// --- Eight or 16 floats: the scales of a block of 256

template <int kCount>
struct Floats {
  static constexpr int kVectors = kCount / 8;
  F v[kVectors];
};

// Bytes, four to a word, unsigned.
MEDLAR_INLINE Floats<8> floats_of_bytes(uint32_t a, uint32_t b) {
  const __m128i bytes = _mm_setr_epi32(static_cast<int>(a), static_cast<int>(b), 0, 0);
  return {{_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))}};
}
MEDLAR_INLINE Floats<16> floats_of_bytes(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return {{floats_of_bytes(a, b).v[0], floats_of_bytes(c, d).v[0]}};
}
// The bytes of 8 and 8 fields of six bits, packed in 12 bytes from p + 4 on as Q4_K has them.
MEDLAR_INLINE __m128i six_bit_bytes(const void* p) {
  const __m128i words = _mm_loadu_si128(static_cast<const __m128i*>(p));
  const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(words, 0xED), _mm_setr_epi32(0, 0, 0, 4));
  const __m128i high = _mm_srli_epi32(_mm_shuffle_epi32(words, 0xA5), 2);
  return _mm_or_si128(_mm_and_si128(low, _mm_setr_epi32(0x3F3F3F3F, 0x0F0F0F0F, 0x3F3F3F3F, 0x0F0F0F0F)),
                      _mm_and_si128(high, _mm_setr_epi32(0, 0x30303030, 0, 0x30303030)));
}
// Those bytes times the two halves at p: Q4_K's scales and minima.
MEDLAR_INLINE void six_bit_floats(const std::byte* p, Floats<8>& first, Floats<8>& second) {
  const __m128i bytes = six_bit_bytes(p);
  first.v[0] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)) * splat(load_f16_scalar(p));
  second.v[0] =
      _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))) * splat(load_f16_scalar(p + 2));
}
// Fields of kBits bits from the lowest on.
template <int kBits>
MEDLAR_INLINE Floats<8> floats_of_fields(uint32_t word) {
  const I shifts =
      _mm256_setr_epi32(0, kBits, 2 * kBits, 3 * kBits, 4 * kBits, 5 * kBits, 6 * kBits, 7 * kBits);
  const I fields = _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(word)), shifts);
  return {{_mm256_cvtepi32_ps(_mm256_and_si256(fields, _mm256_set1_epi32((1 << kBits) - 1)))}};
}
template <int kCount>
MEDLAR_INLINE void store_floats(float* p, Floats<kCount> f) {
  for (int i = 0; i < Floats<kCount>::kVectors; ++i) _mm256_storeu_ps(p + 8 * i, f.v[i]);
}
template <int kCount>
MEDLAR_INLINE Floats<kCount> load_floats(const float* p) {
  Floats<kCount> f;
  for (int i = 0; i < Floats<kCount>::kVectors; ++i) f.v[i] = _mm256_loadu_ps(p + 8 * i);
  return f;
}
// Eight floats, each as often as it takes.
template <int kCount>
MEDLAR_INLINE Floats<kCount> stretch_floats(const float* p) {
  const Floats<8> f = load_floats<8>(p);
  if constexpr (kCount == 8) return f;
  if constexpr (kCount == 16) {
    return {{_mm256_permutevar8x32_ps(f.v[0], _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
             _mm256_permutevar8x32_ps(f.v[0], _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7))}};
  }
}
template <int kSub, int kStart, int kCount>
MEDLAR_INLINE F spread(Floats<kCount> f) {
  constexpr int kVector = kStart / kSub / 8;
  if constexpr (kSub == 32) {
    const F half = _mm256_permute2f128_ps(f.v[0], f.v[0], kStart / 32 < 4 ? 0x00 : 0x11);
    return _mm256_permute_ps(half, kStart / 32 % 4 * 0x55);
  }
  return _mm256_permutevar8x32_ps(f.v[kVector], scale_index<kSub, kStart - 8 * kSub * kVector>());
}

// --- Codes of the KV cache by numbers of 16 bits (codes.h)

inline constexpr int kPack = 2;         // codes of a pack: each a word of 16 bits
inline constexpr int kPackRows = 4;     // register tile of codes.h
inline constexpr int kPackVectors = 2;  // the same

using Sums = int32_t __attribute__((vector_size(32)));  // of products
using Numbers = I;                                      // a pack of numbers in every lane

MEDLAR_INLINE Sums no_sums() { return Sums{}; }
MEDLAR_INLINE Numbers splat_numbers(const int16_t* p) { return splat4(reinterpret_cast<const int8_t*>(p)); }
MEDLAR_INLINE Sums add_products(Sums sums, I packs, Numbers n) {
  return sums + (Sums)_mm256_madd_epi16(packs, n);
}
MEDLAR_INLINE I whole(Sums sums) { return (I)sums; }
// kLanes numbers, rounded to nearest, as a row of them lies in memory.
MEDLAR_INLINE void store_numbers(int16_t* p, F v) {
  const I words = _mm256_cvtps_epi32(v);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
// The four codes of each lane as packs: 4 / kPack rows of them, `stride` packs apart.
MEDLAR_INLINE void store_packs(I words, int32_t* to, int64_t stride) {
  const I low =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
  const I high =
      _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
  _mm256_storeu_si256(reinterpret_cast<I*>(to), _mm256_srai_epi16(_mm256_shuffle_epi8(words, low), 8));
  _mm256_storeu_si256(reinterpret_cast<I*>(to + stride),
                      _mm256_srai_epi16(_mm256_shuffle_epi8(words, high), 8));
}
MEDLAR_INLINE I load_packs(const int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const I*>(p)); }
// Code i of the four rows to word i.
MEDLAR_INLINE void interleave4(const Codes (&rows)[4], I (&words)[64 / kLanes]) {
  // What unpacking leaves in lane l of 128 bits of word k comes from 32 bits 4 l + k of a row.
  const I order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
  MEDLAR_UNROLL
  for (int v = 0; v < 2; ++v) {
    I r[4];
    MEDLAR_UNROLL
    for (int i = 0; i < 4; ++i) r[i] = _mm256_permutevar8x32_epi32(rows[i].v[v], order);
    const I a = _mm256_unpacklo_epi8(r[0], r[1]), b = _mm256_unpacklo_epi8(r[2], r[3]);
    const I c = _mm256_unpackhi_epi8(r[0], r[1]), d = _mm256_unpackhi_epi8(r[2], r[3]);
    words[4 * v] = _mm256_unpacklo_epi16(a, b);
    words[4 * v + 1] = _mm256_unpackhi_epi16(a, b);
    words[4 * v + 2] = _mm256_unpacklo_epi16(c, d);
    words[4 * v + 3] = _mm256_unpackhi_epi16(c, d);
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
