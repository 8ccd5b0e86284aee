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

// Rows [range) of a page that comes next. To be called little by little: what is asked for all at once is
// more than a processor keeps track of, and is forgotten.
MEDLAR_INLINE void prefetch_rows(const std::byte* rows, int64_t row_bytes, Range range) {
  for (int64_t at = range.begin * row_bytes; at < range.end * row_bytes; at += 64)
    __builtin_prefetch(rows + at);
}

#if !defined(MEDLAR_ISA_SCALAR)

// d = max|x| / 127 as f16, codes x / d: as formats/ does, but for the rounding of ties.
MEDLAR_INLINE void store_q8_0(const float* x, std::byte* to) {
  const BlockScale s = block_scale(block_size(x));
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
