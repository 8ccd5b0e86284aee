// The vector vocabulary on AVX-512 with F, BW, VL, DQ and VNNI: 16 floats.
#pragma once

#include <immintrin.h>

namespace medlar::kernels::MEDLAR_ISA {

using F = __m512;
using I = __m512i;
inline constexpr int kLanes = 16;
inline constexpr int kTileRows = 6;     // register tile of matmul.h
inline constexpr int kDotTileRows = 6;  // register tile of dot_panel.cpp: as many rows by two vectors
inline constexpr int kTileVectors = 4;

struct Full {};

MEDLAR_INLINE __mmask16 first(Some s) { return static_cast<__mmask16>((1u << s.count) - 1); }

MEDLAR_INLINE F load(const float* p, Full = {}) { return _mm512_loadu_ps(p); }
MEDLAR_INLINE F load(const float* p, Some s) { return _mm512_maskz_loadu_ps(first(s), p); }
MEDLAR_INLINE void store(float* p, F v, Full = {}) { _mm512_storeu_ps(p, v); }
MEDLAR_INLINE void store(float* p, F v, Some s) { _mm512_mask_storeu_ps(p, first(s), v); }
MEDLAR_INLINE F splat(float v) { return _mm512_set1_ps(v); }
MEDLAR_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
MEDLAR_INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
MEDLAR_INLINE F larger(F a, F b) { return _mm512_max_ps(a, b); }   // b where either is NaN
MEDLAR_INLINE F smaller(F a, F b) { return _mm512_min_ps(a, b); }  // b where either is NaN
MEDLAR_INLINE F absolute(F v) { return _mm512_abs_ps(v); }
MEDLAR_INLINE float sum(F v) { return _mm512_reduce_add_ps(v); }
MEDLAR_INLINE float largest(F v) { return _mm512_reduce_max_ps(v); }
MEDLAR_INLINE float lane0(F v) { return _mm512_cvtss_f32(v); }
MEDLAR_INLINE F select_less(F a, F b, F yes, F no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
// yes where bit `kBit` is set.
template <int kBit>
MEDLAR_INLINE F select_bit(I v, F yes, F no) {
  return _mm512_mask_blend_ps(_mm512_test_epi32_mask(v, _mm512_set1_epi32(1 << kBit)), no, yes);
}
MEDLAR_INLINE F rounded(F v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
MEDLAR_INLINE I to_int(F v) { return _mm512_cvtps_epi32(v); }
MEDLAR_INLINE F to_float(I v) { return _mm512_cvtepi32_ps(v); }
MEDLAR_INLINE I splat_int(int32_t v) { return _mm512_set1_epi32(v); }
MEDLAR_INLINE I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
// v * 2^n for whole n in [-252, 252], with the hardware's overflow and underflow.
MEDLAR_INLINE F times_power_of_two(F v, F n) { return _mm512_scalef_ps(v, n); }

// Element i of vector j to element j of vector i.
MEDLAR_INLINE void transpose(I (&v)[kLanes]) {
  I t[16];
  MEDLAR_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  MEDLAR_UNROLL
  for (int i = 0; i < 16; i += 4) {  // v[i + c]: column c of each 4 x 4 block of rows i to i + 3
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  MEDLAR_UNROLL
  for (int c = 0; c < 4; ++c) {  // 4 x 4 blocks of 128 bits
    const I a = _mm512_shuffle_i32x4(v[c], v[c + 4], 0x88), b = _mm512_shuffle_i32x4(v[c], v[c + 4], 0xDD);
    const I d = _mm512_shuffle_i32x4(v[c + 8], v[c + 12], 0x88),
            e = _mm512_shuffle_i32x4(v[c + 8], v[c + 12], 0xDD);
    t[c] = _mm512_shuffle_i32x4(a, d, 0x88);
    t[c + 4] = _mm512_shuffle_i32x4(b, e, 0x88);
    t[c + 8] = _mm512_shuffle_i32x4(a, d, 0xDD);
    t[c + 12] = _mm512_shuffle_i32x4(b, e, 0xDD);
  }
  MEDLAR_UNROLL
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}
MEDLAR_INLINE void transpose(F (&v)[kLanes]) {
  I t[16];
  MEDLAR_UNROLL
  for (int i = 0; i < 16; ++i) t[i] = _mm512_castps_si512(v[i]);
  transpose(t);
  MEDLAR_UNROLL
  for (int i = 0; i < 16; ++i) v[i] = _mm512_castsi512_ps(t[i]);
}

// From and to other element types, unaligned.
MEDLAR_INLINE F load_f16(const void* p, Full = {}) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
MEDLAR_INLINE F load_f16(const void* p, Some s) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(s), p));
}
MEDLAR_INLINE F load_bf16(const void* p, Full = {}) {
  const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
MEDLAR_INLINE F load_bf16(const void* p, Some s) {
  const __m256i halves = _mm256_maskz_loadu_epi16(first(s), p);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
MEDLAR_INLINE F load_i8(const int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
MEDLAR_INLINE void store_f16(void* p, F v) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}
// Rounded to nearest (ties to even) and saturated.
MEDLAR_INLINE void store_i8(int8_t* p, F v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
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
  static constexpr int kVectors = 1;
  __m512i v[1];
};

// Codes of eight bits are stored with 128 added, because the left operand of a product of bytes is unsigned.
inline constexpr int kWideOffset = 128;

MEDLAR_INLINE __m512i twice(const void* p) {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
}
MEDLAR_INLINE Codes bytes64(const void* p) { return {{_mm512_loadu_si512(p)}}; }
MEDLAR_INLINE Codes bytes32(const void* p, const void* q) {
  const __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(p)));
  return {{_mm512_inserti64x4(low, _mm256_loadu_si256(static_cast<const __m256i*>(q)), 1)}};
}
// For 32 bytes b: (b >> kFrom & mask) << kTo, then (b >> kFrom + kBits & mask) << kTo, mask being kBits ones.
// Whole words are rotated: within a byte that is a shift, and the mask clears what came from its neighbours.
template <int kBits, int kFrom, int kTo>
MEDLAR_INLINE Codes fields32(const void* p) {
  constexpr int kLow = (kFrom - kTo) & 63, kHigh = (kFrom + kBits - kTo) & 63;
  const __m512i by = _mm512_setr_epi64(kLow, kLow, kLow, kLow, kHigh, kHigh, kHigh, kHigh);
  const __m512i mask = _mm512_set1_epi8(static_cast<char>(((1 << kBits) - 1) << kTo));
  return {{_mm512_and_si512(_mm512_rorv_epi64(twice(p), by), mask)}};
}
// Bits kFrom to kFrom + 3 of 64 bytes.
template <int kFrom>
MEDLAR_INLINE Codes nibbles64(const void* p) {
  return {{_mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(p), kFrom), _mm512_set1_epi8(15))}};
}
// Low then high nibbles of 16 bytes at p, then of 16 at q.
MEDLAR_INLINE Codes nibbles16(const void* p, const void* q) {
  const __m256i low = _mm256_castsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
  const __m256i both = _mm256_inserti128_si256(low, _mm_loadu_si128(static_cast<const __m128i*>(q)), 1);
  const __m512i spread =
      _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), _mm512_castsi256_si512(both));
  const __m512i shifted = _mm512_srlv_epi64(spread, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
  return {{_mm512_and_si512(shifted, _mm512_set1_epi8(15))}};
}
// 1 << kTo where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kTo>
MEDLAR_INLINE Codes bits(uint32_t a, uint32_t b) {
  return {{_mm512_maskz_set1_epi8(static_cast<__mmask64>(a) | static_cast<__mmask64>(b) << 32, 1 << kTo)}};
}
// kSum - c where the bit of a (for codes 0 to 31) or b (the rest) is set.
template <int kSum>
MEDLAR_INLINE Codes mirror(Codes c, uint32_t a, uint32_t b) {
  const __mmask64 mask = static_cast<__mmask64>(a) | static_cast<__mmask64>(b) << 32;
  return {{_mm512_mask_sub_epi8(c.v[0], mask, _mm512_set1_epi8(kSum), c.v[0])}};
}
// Eight codes of each word.
MEDLAR_INLINE Codes words(const uint64_t (&w)[8]) {
  const auto at = [&](int i) __attribute__((always_inline)) { return static_cast<long long>(w[i]); };
  return {{_mm512_setr_epi64(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7))}};
}
MEDLAR_INLINE Codes operator|(Codes a, Codes b) { return {{_mm512_or_si512(a.v[0], b.v[0])}}; }
// Signed bytes to the offset form.
MEDLAR_INLINE Codes widen(Codes c) { return {{_mm512_xor_si512(c.v[0], _mm512_set1_epi8(-128))}}; }
// table[c], for c < 16.
MEDLAR_INLINE Codes lookup(const int8_t* table, Codes c) {
  const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  return {{_mm512_shuffle_epi8(_mm512_broadcast_i32x4(values), c.v[0])}};
}
MEDLAR_INLINE void store_codes(void* p, Codes c) { _mm512_storeu_si512(p, c.v[0]); }
// Codes as store_codes leaves them.
MEDLAR_INLINE F load_code(const uint8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

// Four bytes of activations in every lane.
MEDLAR_INLINE I splat4(const int8_t* p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm512_set1_epi32(word);
}
MEDLAR_INLINE I load_bytes(const void* p) { return _mm512_loadu_si512(p); }
// 1 at byte `at`, else 0.
MEDLAR_INLINE I one_byte(int at) { return _mm512_maskz_set1_epi8(static_cast<__mmask64>(1) << at, 1); }
// Of the codes that store_codes left, byte `byte` of each lane.
MEDLAR_INLINE F code_of_lanes(I codes, int byte) {
  return _mm512_cvtepi32_ps(
      _mm512_and_si512(_mm512_srl_epi32(codes, _mm_cvtsi32_si128(8 * byte)), _mm512_set1_epi32(255)));
}
// sum + the products of four neighbouring bytes, lane by lane. kWide: w may be any byte, else it is below
// 128.
template <bool kWide>
MEDLAR_INLINE I dot4(I sum, I w, I x) {
  return _mm512_dpbusd_epi32(sum, w, x);
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
  const F ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b);
  const F cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
  const F all = _mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xEE);
  const __m256 half = _mm512_castps512_ps256(all) + _mm512_extractf32x8_ps(all, 1);
  return _mm256_castps256_ps128(half) + _mm256_extractf128_ps(half, 1);
}
MEDLAR_INLINE F extend(Quad v) { return _mm512_zextps128_ps512(v); }  // with zeros
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
// 64 bytes from p on that words4() with kCount of 4 wants, in one vector where they lie within it.
template <int kStride>
MEDLAR_INLINE __m128i near_words4(const std::byte* p) {
  static_assert(kStride % 2 == 0 && 3 * kStride + 4 <= 64);
  const __m512i all = _mm512_loadu_si512(p);
  if constexpr (kStride % 4 == 0)
    return _mm512_castsi512_si128(
        _mm512_permutexvar_epi32(_mm512_setr_epi32(0, kStride / 4, 2 * kStride / 4, 3 * kStride / 4, 0, 0, 0,
                                                   0, 0, 0, 0, 0, 0, 0, 0, 0),
                                 all));
  constexpr int k = kStride / 2;
  const __m128i index = _mm_setr_epi16(0, 1, k, k + 1, 2 * k, 2 * k + 1, 3 * k, 3 * k + 1);
  return _mm512_castsi512_si128(_mm512_permutexvar_epi16(_mm512_castsi128_si512(index), all));
}
// f16 at p, p + kStride, ...: kCount of them, then zeros.
template <int kStride, int kCount>
MEDLAR_INLINE Quad halves4(const std::byte* p) {
  const __m128i first = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1);
  if constexpr (kCount == 4 && kStride % 2 == 0 && 3 * kStride + 4 <= 64)
    return _mm_cvtph_ps(_mm_shuffle_epi8(near_words4<kStride>(p), first));
  return _mm_cvtph_ps(_mm_shuffle_epi8(words4<kStride, kCount>(p), first));
}
// The same, and of those that follow each.
template <int kStride, int kCount>
MEDLAR_INLINE void pairs_of_halves(const std::byte* p, Quad& first, Quad& second) {
  __m128i words;
  if constexpr (kCount == 4 && kStride % 2 == 0 && 3 * kStride + 4 <= 64)
    words = near_words4<kStride>(p);
  else
    words = words4<kStride, kCount>(p);
  const __m256 both = _mm256_cvtph_ps(words);
  const __m128 low = _mm256_castps256_ps128(both), high = _mm256_extractf128_ps(both, 1);
  first = _mm_shuffle_ps(low, high, 0x88);
  second = _mm_shuffle_ps(low, high, 0xDD);
}
// For lane i, (kStart + 4 i) / kSub: which scale the values have that lane i of a product of bytes sums,
// where the first of its 64 values is value kStart.
template <int kSub, int kStart>
MEDLAR_INLINE I scale_index() {
  return _mm512_setr_epi32(
      (kStart + 0) / kSub, (kStart + 4) / kSub, (kStart + 8) / kSub, (kStart + 12) / kSub,
      (kStart + 16) / kSub, (kStart + 20) / kSub, (kStart + 24) / kSub, (kStart + 28) / kSub,
      (kStart + 32) / kSub, (kStart + 36) / kSub, (kStart + 40) / kSub, (kStart + 44) / kSub,
      (kStart + 48) / kSub, (kStart + 52) / kSub, (kStart + 56) / kSub, (kStart + 60) / kSub);
}
// The scales of a product's lanes.
template <int kSub, int kStart>
MEDLAR_INLINE F spread(Quad v) {
  return _mm512_permutexvar_ps(scale_index<kSub, kStart>(), _mm512_castps128_ps512(v));
}
// Eight blocks of 32 at once, a scale or a scale and a minimum and 16 bytes of codes each, whose values i and
// 16 + i share a byte (dot_nibbles.h).
#define MEDLAR_HALVES
// Of four blocks: the 64 bytes from their begin on, and those before their end.
struct FourBlocks {
  I begin, end;
};
// Of the first n bytes at p; the rest, which may not be readable, are 0.
MEDLAR_INLINE I load_some_bytes(const void* p, int64_t n) {
  const __mmask64 mask = n <= 0 ? 0 : n >= 64 ? ~__mmask64{0} : ~__mmask64{0} >> (64 - n);
  return _mm512_maskz_loadu_epi8(mask, p);
}
// The f16 at the begin of each of eight blocks, each followed by the one kSecond bytes behind it. first: 64
// bytes from the first block on; second: from the fifth.
template <int kStride, int kSecond>
MEDLAR_INLINE F pairs_of_halves(I first, I second) {
  static_assert(kStride % 2 == 0 && 3 * kStride + kSecond + 2 <= 64);
  __m512i pairs;
  if constexpr (kStride % 4 == 0 && kSecond == 2) {
    constexpr int k = kStride / 4;
    const I index =
        _mm512_setr_epi32(0, k, 2 * k, 3 * k, 16, 16 + k, 16 + 2 * k, 16 + 3 * k, 0, 0, 0, 0, 0, 0, 0, 0);
    pairs = _mm512_permutex2var_epi32(first, index, second);
  } else {
    constexpr short k = kStride / 2, s = kSecond / 2;
    alignas(64) static constexpr short kIndex[32] = {
        0,  s,      k,      k + s,      2 * k,      2 * k + s,      3 * k,      3 * k + s,
        32, 32 + s, 32 + k, 32 + k + s, 32 + 2 * k, 32 + 2 * k + s, 32 + 3 * k, 32 + 3 * k + s};
    pairs = _mm512_permutex2var_epi16(first, _mm512_load_si512(kIndex), second);
  }
  return _mm512_cvtph_ps(_mm512_castsi512_si256(pairs));
}
// Eight scales, each followed by kFactor times its sum; the sums follow the scales in memory.
template <int kFactor>
MEDLAR_INLINE F interleaved(const float* scales_and_sums) {
  const F both =
      _mm512_permutexvar_ps(_mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15),
                            _mm512_loadu_ps(scales_and_sums));
  if constexpr (kFactor == 1) return both;
  return _mm512_mask_mul_ps(both, 0xAAAA, both, _mm512_set1_ps(kFactor));
}
MEDLAR_INLINE F first_half(F v) { return _mm512_zextps256_ps512(_mm512_castps512_ps256(v)); }
MEDLAR_INLINE F add_odd(F v, F sum) { return _mm512_mask_add_ps(sum, 0xAAAA, sum, v); }
// Lanes 0, 2, 4 and 6, or with kHalf those behind, four times each.
template <int kHalf>
MEDLAR_INLINE F spread_even(F v) {
  constexpr int k = 8 * kHalf;
  return _mm512_permutexvar_ps(_mm512_setr_epi32(k, k, k, k, k + 2, k + 2, k + 2, k + 2, k + 4, k + 4, k + 4,
                                                 k + 4, k + 6, k + 6, k + 6, k + 6),
                               v);
}
struct Halves {
  I low, high;
};
// The codes of four blocks, kFirst bytes into each.
template <int kStride, int kFirst>
MEDLAR_INLINE Halves nibbles(const FourBlocks& p) {
  static_assert(kStride % 2 == 0 && 2 * kStride + kFirst + 16 <= 64);
  __m512i all;
  if constexpr (kStride % 4 == 0) {
    constexpr int k = kStride / 4, f = kFirst / 4;
    const I index = _mm512_setr_epi32(f, f + 1, f + 2, f + 3, k + f, k + f + 1, k + f + 2, k + f + 3,
                                      2 * k + f, 2 * k + f + 1, 2 * k + f + 2, 2 * k + f + 3, 28, 29, 30, 31);
    all = _mm512_permutex2var_epi32(p.begin, index, p.end);
  } else {
    constexpr short k = kStride / 2, f = kFirst / 2;
    alignas(64) static constexpr short kIndex[32] = {f,
                                                     f + 1,
                                                     f + 2,
                                                     f + 3,
                                                     f + 4,
                                                     f + 5,
                                                     f + 6,
                                                     f + 7,
                                                     k + f,
                                                     k + f + 1,
                                                     k + f + 2,
                                                     k + f + 3,
                                                     k + f + 4,
                                                     k + f + 5,
                                                     k + f + 6,
                                                     k + f + 7,
                                                     2 * k + f,
                                                     2 * k + f + 1,
                                                     2 * k + f + 2,
                                                     2 * k + f + 3,
                                                     2 * k + f + 4,
                                                     2 * k + f + 5,
                                                     2 * k + f + 6,
                                                     2 * k + f + 7,
                                                     56,
                                                     57,
                                                     58,
                                                     59,
                                                     60,
                                                     61,
                                                     62,
                                                     63};
    all = _mm512_permutex2var_epi16(p.begin, _mm512_load_si512(kIndex), p.end);
  }
  const __m512i mask = _mm512_set1_epi8(15);
  return {_mm512_and_si512(all, mask), _mm512_and_si512(_mm512_srli_epi16(all, 4), mask)};
}
// The activations of four blocks in the same order.
MEDLAR_INLINE Halves halves_of_four(const int8_t* x) {
  const __m512i first = _mm512_loadu_si512(x), second = _mm512_loadu_si512(x + 64);
  return {_mm512_shuffle_i64x2(first, second, 0x88), _mm512_shuffle_i64x2(first, second, 0xDD)};
}
// The floats whose bits are given.
MEDLAR_INLINE Quad quad_of_bits(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  return _mm_castsi128_ps(
      _mm_setr_epi32(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c), static_cast<int>(d)));
}

// --- Eight or 16 floats: the scales of a block of 256

template <int kCount>
struct Floats {
  static constexpr int kVectors = 1;
  F v[1];
};

// Bytes, four to a word, unsigned.
MEDLAR_INLINE Floats<16> floats_of_bytes(uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const __m128i bytes =
      _mm_setr_epi32(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c), static_cast<int>(d));
  return {{_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))}};
}
MEDLAR_INLINE Floats<8> floats_of_bytes(uint32_t a, uint32_t b) {
  return {{floats_of_bytes(a, b, 0, 0).v[0]}};
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
  const F all = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(six_bit_bytes(p)));
  first.v[0] = all * splat(load_f16_scalar(p));
  second.v[0] = _mm512_shuffle_f32x4(all, all, 0xEE) * splat(load_f16_scalar(p + 2));
}
// Fields of kBits bits from the lowest on.
template <int kBits>
MEDLAR_INLINE Floats<8> floats_of_fields(uint32_t word) {
  const __m512i shifts = _mm512_setr_epi32(0, kBits, 2 * kBits, 3 * kBits, 4 * kBits, 5 * kBits, 6 * kBits,
                                           7 * kBits, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m512i fields = _mm512_srlv_epi32(_mm512_set1_epi32(static_cast<int>(word)), shifts);
  return {{_mm512_cvtepi32_ps(_mm512_and_si512(fields, _mm512_set1_epi32((1 << kBits) - 1)))}};
}
template <int kCount>
MEDLAR_INLINE void store_floats(float* p, Floats<kCount> f) {
  if constexpr (kCount == 16) {
    _mm512_storeu_ps(p, f.v[0]);
  } else {
    _mm256_storeu_ps(p, _mm512_castps512_ps256(f.v[0]));
  }
}
template <int kCount>
MEDLAR_INLINE Floats<kCount> load_floats(const float* p) {
  if constexpr (kCount == 16) return {{_mm512_loadu_ps(p)}};
  return {{_mm512_zextps256_ps512(_mm256_loadu_ps(p))}};
}
// Eight floats, each as often as it takes.
template <int kCount>
MEDLAR_INLINE Floats<kCount> stretch_floats(const float* p) {
  const Floats<8> f = load_floats<8>(p);
  if constexpr (kCount == 8) return f;
  return {{_mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), f.v[0])}};
}
template <int kSub, int kStart, int kCount>
MEDLAR_INLINE F spread(Floats<kCount> f) {
  return _mm512_permutexvar_ps(scale_index<kSub, kStart>(), f.v[0]);
}

// --- Codes of the KV cache by numbers of 16 bits (codes.h)

inline constexpr int kPack = 2;         // codes of a pack: each a word of 16 bits
inline constexpr int kPackRows = 6;     // register tile of codes.h
inline constexpr int kPackVectors = 4;  // of keys; of values at most 32 columns

using Sums = int32_t __attribute__((vector_size(64)));  // of products
using Numbers = I;                                      // a pack of numbers in every lane

MEDLAR_INLINE Sums no_sums() { return Sums{}; }
MEDLAR_INLINE Numbers splat_numbers(const int16_t* p) { return splat4(reinterpret_cast<const int8_t*>(p)); }
MEDLAR_INLINE Sums add_products(Sums sums, I packs, Numbers n) {
  return (Sums)_mm512_dpwssd_epi32((I)sums, packs, n);
}
MEDLAR_INLINE I whole(Sums sums) { return (I)sums; }
// kLanes numbers, rounded to nearest, as a row of them lies in memory.
MEDLAR_INLINE void store_numbers(int16_t* p, F v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(v)));
}
// The four codes of each lane as packs: 4 / kPack rows of them, `stride` packs apart.
MEDLAR_INLINE void store_packs(I words, int32_t* to, int64_t stride) {
  const I low =
      _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
  const I high =
      _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
  _mm512_storeu_si512(to, _mm512_srai_epi16(_mm512_shuffle_epi8(words, low), 8));
  _mm512_storeu_si512(to + stride, _mm512_srai_epi16(_mm512_shuffle_epi8(words, high), 8));
}
MEDLAR_INLINE I load_packs(const int32_t* p) { return _mm512_loadu_si512(p); }
// Code i of the four rows to word i.
MEDLAR_INLINE void interleave4(const Codes (&rows)[4], I (&words)[64 / kLanes]) {
  // What unpacking leaves in lane l of 128 bits of word k comes from 32 bits 4 l + k of a row.
  const I order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  I r[4];
  MEDLAR_UNROLL
  for (int i = 0; i < 4; ++i) r[i] = _mm512_permutexvar_epi32(order, rows[i].v[0]);
  const I a = _mm512_unpacklo_epi8(r[0], r[1]), b = _mm512_unpacklo_epi8(r[2], r[3]);
  const I c = _mm512_unpackhi_epi8(r[0], r[1]), d = _mm512_unpackhi_epi8(r[2], r[3]);
  words[0] = _mm512_unpacklo_epi16(a, b);
  words[1] = _mm512_unpackhi_epi16(a, b);
  words[2] = _mm512_unpacklo_epi16(c, d);
  words[3] = _mm512_unpackhi_epi16(c, d);
}

}  // namespace medlar::kernels::MEDLAR_ISA
