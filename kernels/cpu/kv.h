// Rows of the KV cache: where they are, and their values from and to f32.
#pragma once

#include "kernels/cpu/decode.h"
#include "kernels/cpu/quantize.h"

namespace medlar::kernels::MEDLAR_ISA {

// The first row of a page and head; the page's other positions follow it.
MEDLAR_INLINE std::byte* page_rows(const KvPages& pages, const PageTable& table, int64_t sequence,
                                   int64_t page, int64_t head) {
  const int64_t number = table.pages[sequence * table.stride + page];
  return pages.base + number * pages.page_bytes + head * kPageTokens * pages.row_bytes;
}

MEDLAR_INLINE std::byte* position_row(const KvPages& pages, const PageTable& table, int64_t sequence,
                                      int64_t position, int64_t head) {
  return page_rows(pages, table, sequence, position / kPageTokens, head) +
         position % kPageTokens * pages.row_bytes;
}

#if !defined(MEDLAR_ISA_SCALAR)

// d = max|x| / 127 as f16, codes x / d: as formats/ does, but for the rounding of ties.
MEDLAR_INLINE void store_q8_0(const float* x, std::byte* to) {
  const BlockScale s = block_scale(x, 32);
  store_f16_scalar(to, s.scale);
  auto* q = reinterpret_cast<int8_t*>(to + 2);
  quantize16(x, s.inverse, q);
  quantize16(x + 16, s.inverse, q + 16);
}

MEDLAR_INLINE void load_q8_0(const std::byte* from, float* y) {
  const F d = splat(load_f16_scalar(from));
  const auto* q = reinterpret_cast<const int8_t*>(from + 2);
  for (int i = 0; i < 32; i += kLanes) store(y + i, load_i8(q + i) * d);
}

// The codes of kLanes rows, kChunk values of each, as transposed words of four.
inline constexpr int64_t kChunk = 4 * kLanes;

template <int kWord>
MEDLAR_INLINE void store_word_of_keys(const I (&words)[kLanes], const F (&scale)[(kChunk + 31) / 32],
                                      float* to, int64_t stride) {
  const F d = scale[4 * kWord / 32];
  store(to + (4 * kWord + 0) * stride, byte_of_lanes<0>(words[kWord]) * d);
  store(to + (4 * kWord + 1) * stride, byte_of_lanes<1>(words[kWord]) * d);
  store(to + (4 * kWord + 2) * stride, byte_of_lanes<2>(words[kWord]) * d);
  store(to + (4 * kWord + 3) * stride, byte_of_lanes<3>(words[kWord]) * d);
  if constexpr (kWord + 1 < kLanes) store_word_of_keys<kWord + 1>(words, scale, to, stride);
}

// kLanes rows of q8_0, `dim` values each (a multiple of kChunk), transposed: value d of row i to to[d *
// stride + i].
MEDLAR_INLINE void load_q8_0_transposed(const std::byte* rows, int64_t row_bytes, int64_t dim, float* to,
                                        int64_t stride) {
  for (int64_t at = 0; at < dim; at += kChunk) {
    I words[kLanes];
    uint16_t halves[(kChunk + 31) / 32][kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      const std::byte* block = rows + i * row_bytes + at / 32 * 34;
      for (int64_t c = 0; c < kChunk; c += 32) memcpy(&halves[c / 32][i], block + c / 32 * 34, 2);
      const auto codes = kChunk == 64 ? bytes32(block + 2, block + 36).v[0] : load_bytes(block + 2 + at % 32);
      memcpy(&words[i], &codes, sizeof(I));
    }
    transpose(words);
    F scale[(kChunk + 31) / 32];
    for (int64_t b = 0; b < (kChunk + 31) / 32; ++b) scale[b] = load_f16(halves[b]);
    store_word_of_keys<0>(words, scale, to + at * stride, stride);
  }
}

// 64 values, or 32.
MEDLAR_INLINE void load_q4_0(const std::byte* from, int64_t n, float* y) {
  alignas(64) uint8_t codes[64];
  store_codes(codes, nibbles16(from + 2, from + (n > 32 ? 20 : 2)));
  for (int64_t b = 0; b < n; b += 32) {
    const F d = splat(load_f16_scalar(from + b / 32 * 18));
    for (int64_t i = b; i < b + 32; i += kLanes) store(y + i, (load_code(codes + i) - splat(8.0f)) * d);
  }
}

#endif

// dim values to and from a cache row. Types without vector code go through formats/.
MEDLAR_INLINE void store_kv(DType type, const float* x, std::byte* row, int64_t dim) {
#if !defined(MEDLAR_ISA_SCALAR)
  switch (type) {
    case DType::f32:
      memcpy(row, x, static_cast<size_t>(dim) * sizeof(float));
      return;
    case DType::f16:
      if (dim % kLanes != 0) break;
      for (int64_t i = 0; i < dim; i += kLanes) store_f16(row + 2 * i, load(x + i));
      return;
    case DType::q8_0:
      for (int64_t i = 0; i < dim; i += 32) store_q8_0(x + i, row + i / 32 * 34);
      return;
    default:
      break;
  }
#endif
  encode_values(type, x, row, dim);
}

MEDLAR_INLINE void load_kv(DType type, const std::byte* row, float* y, int64_t dim) {
#if !defined(MEDLAR_ISA_SCALAR)
  switch (type) {
    case DType::f32:
      memcpy(y, row, static_cast<size_t>(dim) * sizeof(float));
      return;
    case DType::f16:
      if (dim % kLanes != 0) break;
      for (int64_t i = 0; i < dim; i += kLanes) store(y + i, load_f16(row + 2 * i));
      return;
    case DType::bf16:
      if (dim % kLanes != 0) break;
      for (int64_t i = 0; i < dim; i += kLanes) store(y + i, load_bf16(row + 2 * i));
      return;
    case DType::q8_0:
      for (int64_t i = 0; i < dim; i += 32) load_q8_0(row + i / 32 * 34, y + i);
      return;
    case DType::q4_0:
      for (int64_t i = 0; i < dim; i += 64) load_q4_0(row + i / 32 * 18, least(64, dim - i), y + i);
      return;
    default:
      break;
  }
#endif
  decode_values(type, row, y, dim);
}

}  // namespace medlar::kernels::MEDLAR_ISA
