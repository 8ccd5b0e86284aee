// Products with the codes of a quantized KV cache: a page of keys or values is rearranged, but not converted
// to f32, and multiplied with numbers of 16 bits, queries or probabilities, in sums of 32 bits. A number is
// off by 1/65024 of the row's largest, where a code of q8_0 is off by 1/254 of its block's.
//
// A pack is kPack neighbouring codes of what is summed over: of the values of a key, or of the tokens of a
// value. A vector holds a pack of each of kLanes columns: tokens of keys, or values.
#pragma once

#include "kernels/cpu/kv.h"

namespace medlar::kernels::MEDLAR_ISA {

#if defined(MEDLAR_ISA_SCALAR)

constexpr bool has_codes(DType) { return false; }

#else

constexpr bool has_codes(DType type) { return type == DType::q8_0 || type == DType::q4_0; }

inline constexpr int64_t kCodeBlock = 32;       // codes that share a scale
inline constexpr float kTopNumber = 127 * 256;  // times 64 codes of up to 128 fits 32 bits

// What a cache's blocks are made of: a scale as f16, then codes.
template <DType kType>
struct CacheBlocks;

template <>
struct CacheBlocks<DType::q8_0> {
  static constexpr int64_t kBytes = 34;
  // The codes of the block at p and of the one at q.
  static MEDLAR_INLINE Codes codes(const std::byte* p, const std::byte* q) { return bytes32(p + 2, q + 2); }
};

template <>
struct CacheBlocks<DType::q4_0> {
  static constexpr int64_t kBytes = 18;
  static MEDLAR_INLINE Codes codes(const std::byte* p, const std::byte* q) {
    alignas(16) static constexpr int8_t kValues[16] = {-8, -7, -6, -5, -4, -3, -2, -1,
                                                       0,  1,  2,  3,  4,  5,  6,  7};
    return lookup(kValues, nibbles16(p + 2, q + 2));
  }
};

// The rows of one page and head, and of the page after it.
struct CachedRows {
  const std::byte* data;
  const std::byte* next;
  int64_t row_bytes;
  int64_t dim;
};

// The scales of block b in rows [tokens) and their neighbours in whole vectors.
template <DType kType>
MEDLAR_INLINE void read_scales(CachedRows rows, int64_t b, Range tokens, float* to) {
  for (int64_t t = tokens.begin / kLanes * kLanes; t < tokens.end; t += kLanes) {
    const std::byte* p = rows.data + t * rows.row_bytes + b * CacheBlocks<kType>::kBytes;
    uint16_t halves[kLanes];
    MEDLAR_UNROLL
    for (int j = 0; j < kLanes; ++j, p += rows.row_bytes) memcpy(&halves[j], p, sizeof(uint16_t));
    store(to + t, load_f16(halves));
  }
}

struct KeyPacks {
  int32_t* packs;  // (dim / kPack, 64)
  float* scale;    // (dim / 32, 64)
};

struct ValuePacks {
  int32_t* packs;   // (64 / kPack, stride)
  int64_t stride;   // dim, rounded up to 64
  float* relative;  // (dim / 32, 64): a token's scale as a part of the largest one
  float* largest;   // (dim / 32): of the tokens' scales; NaN where one is not finite
};

// Of the tokens in `tokens`, and their neighbours in whole vectors.
template <DType kType>
void unpack_keys(CachedRows rows, Range tokens, KeyPacks to) {
  const int64_t blocks = rows.dim / kCodeBlock;
  constexpr int64_t kBytes = CacheBlocks<kType>::kBytes;
  for (int64_t t = tokens.begin / kLanes * kLanes; t < tokens.end; t += kLanes) {
    prefetch_rows(rows.next, rows.row_bytes, {t, t + kLanes});
    const std::byte* row = rows.data + t * rows.row_bytes;
    for (int64_t i = 0; 2 * i < blocks; ++i, row += 2 * kBytes) {
      const int64_t other = 2 * i + 1 < blocks ? kBytes : 0;  // the last block again where there is no other
      Codes codes[kLanes];
      const std::byte* p = row;
      MEDLAR_UNROLL
      for (int j = 0; j < kLanes; ++j, p += rows.row_bytes)
        codes[j] = CacheBlocks<kType>::codes(p, p + other);
      for (int v = 0; v < Codes::kVectors; ++v) {
        I words[kLanes];
        MEDLAR_UNROLL
        for (int j = 0; j < kLanes; ++j) memcpy(&words[j], &codes[j].v[v], sizeof(I));
        transpose(words);
        int32_t* first = to.packs + (64 * i + 64 / Codes::kVectors * v) / kPack * kPageTokens + t;
        MEDLAR_UNROLL
        for (int j = 0; j < kLanes; ++j)
          store_packs(words[j], first + 4 / kPack * j * kPageTokens, kPageTokens);
      }
    }
  }
  for (int64_t b = 0; b < blocks; ++b) read_scales<kType>(rows, b, tokens, to.scale + b * kPageTokens);
}

// Of the tokens in `tokens`, and their neighbours in whole fours; other tokens' scales are 0.
template <DType kType>
void unpack_values(CachedRows rows, Range tokens, ValuePacks to) {
  const int64_t blocks = rows.dim / kCodeBlock;
  constexpr int64_t kBytes = CacheBlocks<kType>::kBytes;
  for (int64_t t = tokens.begin / 4 * 4; t < tokens.end; t += 4) {
    prefetch_rows(rows.next, rows.row_bytes, {t, t + 4});
    const std::byte* row = rows.data + t * rows.row_bytes;
    for (int64_t i = 0; 2 * i < blocks; ++i, row += 2 * kBytes) {
      const int64_t other = 2 * i + 1 < blocks ? kBytes : 0;  // the last block again where there is no other
      Codes codes[4];
      const std::byte* p = row;
      MEDLAR_UNROLL
      for (int j = 0; j < 4; ++j, p += rows.row_bytes) codes[j] = CacheBlocks<kType>::codes(p, p + other);
      I words[64 / kLanes];
      interleave4(codes, words);
      int32_t* first = to.packs + t / kPack * to.stride + 64 * i;
      MEDLAR_UNROLL
      for (int c = 0; c < 64 / kLanes; ++c) store_packs(words[c], first + c * kLanes, to.stride);
    }
  }
  for (int64_t b = 0; b < blocks; ++b) {
    float* scale = to.relative + b * kPageTokens;
    read_scales<kType>(rows, b, tokens, scale);
    for (int64_t t = 0; t < tokens.begin; ++t) scale[t] = 0.0f;
    for (int64_t t = tokens.end; t < kPageTokens; ++t) scale[t] = 0.0f;
    F top = splat(0.0f), poison = splat(0.0f);
    for (int i = 0; i < kPageTokens; i += kLanes) {
      const F d = load(scale + i);
      top = larger(absolute(d), top);
      poison = fma(d, splat(0.0f), poison);  // NaN after a NaN or an infinity
    }
    const float most = largest(top);
    to.largest[b] = most + sum(poison);
    for (int i = 0; i < kPageTokens; i += kLanes)
      store(scale + i, load(scale + i) * splat(most > 0 ? 1 / most : 0.0f));
  }
}

// sums[r][v] = the products of `count` packs of row r of numbers with those of vector v's columns.
template <int kRows, int kVectors>
MEDLAR_INLINE void multiply_packs(const int16_t* numbers, int64_t row, const int32_t* packs, int64_t stride,
                                  int64_t count, F (&sums)[kRows][kVectors]) {
  Sums part[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) part[r][v] = no_sums();
  }
  for (int64_t k = 0; k < count; ++k) {
    I codes[kVectors];
    for (int v = 0; v < kVectors; ++v) codes[v] = load_packs(packs + k * stride + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const Numbers n = splat_numbers(numbers + r * row + k * kPack);
      for (int v = 0; v < kVectors; ++v) part[r][v] = add_products(part[r][v], codes[v], n);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sums[r][v] = to_float(whole(part[r][v]));
  }
}

// Rows of numbers, `stride` from one to the next.
struct NumberRows {
  int16_t* data;
  int64_t stride;
  int64_t rows;
};

// Calls fn<kRows>(r) for kRows rows at a time from row r on, then for what is left.
template <int kRows, class Fn>
MEDLAR_INLINE void by_rows(int64_t r, int64_t rows, Fn fn) {
  for (; r + kRows <= rows; r += kRows) fn.template operator()<kRows>(r);
  if constexpr (kRows > 1) {
    if (r < rows) by_rows<kRows - 1>(r, rows, fn);
  }
}

// x[0, dim), dim a multiple of 32, as numbers; returns their scale, NaN where x has a NaN or an infinity.
MEDLAR_INLINE float to_numbers(const float* x, int64_t dim, int16_t* to) {
  F top = splat(0.0f), poison = splat(0.0f);
  for (int64_t i = 0; i < dim; i += kLanes) {
    const F v = load(x + i);
    top = larger(absolute(v), top);
    poison = fma(v, splat(0.0f), poison);
  }
  const float most = largest(top);
  const bool tiny = !(most > 1e-30f);  // whose inverse would overflow
  for (int64_t i = 0; i < dim; i += kLanes)
    store_numbers(to + i, load(x + i) * splat(tiny ? 0.0f : kTopNumber / most));
  return (tiny ? 0.0f : most / kTopNumber) + sum(poison);
}

// logits (rows, 64) in columns `tokens` and their neighbours: query r is scale[r] times its numbers.
MEDLAR_INLINE void multiply_keys(const NumberRows& queries, const float* scale, const KeyPacks& keys,
                                 int64_t dim, Range tokens, float* logits) {
  constexpr int kColumns = kPackVectors * kLanes;
  for (int64_t t = tokens.begin / kColumns * kColumns; t < tokens.end; t += kColumns) {
    by_rows<kPackRows>(0, queries.rows, [&]<int kRows>(int64_t r) __attribute__((always_inline)) {
      F total[kRows][kPackVectors];
      for (auto& row : total) {
        for (F& v : row) v = splat(0.0f);
      }
      for (int64_t b = 0; b < dim / kCodeBlock; ++b) {
        F sums[kRows][kPackVectors];
        multiply_packs(queries.data + r * queries.stride + b * kCodeBlock, queries.stride,
                       keys.packs + b * kCodeBlock / kPack * kPageTokens + t, kPageTokens, kCodeBlock / kPack,
                       sums);
        for (int v = 0; v < kPackVectors; ++v) {
          const F d = load(keys.scale + b * kPageTokens + t + v * kLanes);
          for (int i = 0; i < kRows; ++i) total[i][v] = fma(sums[i][v], d, total[i][v]);
        }
      }
      for (int i = 0; i < kRows; ++i) {
        for (int v = 0; v < kPackVectors; ++v)
          store(logits + (r + i) * kPageTokens + t + v * kLanes, total[i][v] * splat(scale[r + i]));
      }
    });
  }
}

// Probabilities p[0, 64), up to `top`, times the scales of values: as numbers to[b * 64 + t] for block b.
MEDLAR_INLINE void weigh(const float* p, float top, const ValuePacks& values, int64_t dim, int16_t* to) {
  const float by = top > 1e-30f ? kTopNumber / top : 0.0f;  // below that nothing is seen of them
  F scaled[kPageTokens / kLanes];
  for (int i = 0; i < kPageTokens / kLanes; ++i) scaled[i] = load(p + i * kLanes) * splat(by);
  for (int64_t b = 0; b < dim / kCodeBlock; ++b) {
    for (int i = 0; i < kPageTokens / kLanes; ++i) {
      const int64_t at = b * kPageTokens + i * kLanes;
      store_numbers(to + at, scaled[i] * load(values.relative + at));
    }
  }
}

// out (rows, stride of values) += weights (rows, blocks, 64) by the codes of `tokens`; row r's are of
// probabilities up to top[r].
MEDLAR_INLINE void multiply_values(const NumberRows& weights, const float* top, const ValuePacks& values,
                                   int64_t dim, Range tokens, float* out) {
  constexpr int kVectors = kPackVectors * kLanes > kCodeBlock ? kCodeBlock / kLanes : kPackVectors;
  const int64_t first = tokens.begin / kPack, count = (tokens.end + kPack - 1) / kPack - first;
  by_rows<kPackRows>(0, weights.rows, [&]<int kRows>(int64_t r) __attribute__((always_inline)) {
    for (int64_t column = 0; column < dim; column += kVectors * kLanes) {
      const int64_t b = column / kCodeBlock;
      F sums[kRows][kVectors];
      multiply_packs(weights.data + r * weights.stride + b * kPageTokens + first * kPack, weights.stride,
                     values.packs + first * values.stride + column, values.stride, count, sums);
      for (int i = 0; i < kRows; ++i) {
        const F scale = splat(top[r + i] * values.largest[b] / kTopNumber);
        float* y = out + (r + i) * values.stride + column;
        for (int v = 0; v < kVectors; ++v)
          store(y + v * kLanes, fma(sums[i][v], scale, load(y + v * kLanes)));
      }
    }
  });
}

#endif

}  // namespace medlar::kernels::MEDLAR_ISA
