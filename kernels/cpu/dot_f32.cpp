// Products with f32 activations: the only ones that f32, f16 and bf16 weights have, and the exact ones of the
// quantized types, whose values go through a buffer.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/matmul.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kDepth = 256;  // values of a row at a time; a multiple of every block

// n values of a weight row as f32: where they are, or in `buffer`.
MEDLAR_INLINE const float* values(DType type, const std::byte* row, int64_t n, float* buffer) {
  switch (type) {
    case DType::f32:
      return reinterpret_cast<const float*>(row);
#if !defined(MEDLAR_ISA_SCALAR)
    case DType::f16:
      each({0, n}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        store(buffer + i, load_f16(row + 2 * i, lanes), lanes);
      });
      return buffer;
    case DType::bf16:
      each({0, n}, [&](int64_t i, auto lanes) __attribute__((always_inline)) {
        store(buffer + i, load_bf16(row + 2 * i, lanes), lanes);
      });
      return buffer;
#endif
    default:
      decode_values(type, row, buffer, n);
      return buffer;
  }
}

// Bytes from the start of a row to its value k, which starts a block.
MEDLAR_INLINE int64_t offset(const RowsDot& a, int64_t k) { return k == 0 ? 0 : a.row_bytes * k / a.k; }

template <int kRows>
MEDLAR_INLINE void accumulate(const float* w, const float* const* x, int64_t n, F (&sums)[kRows][2]) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    const F w0 = load(w + i), w1 = load(w + i + kLanes);
    for (int r = 0; r < kRows; ++r) {
      sums[r][0] = fma(w0, load(x[r] + i), sums[r][0]);
      sums[r][1] = fma(w1, load(x[r] + i + kLanes), sums[r][1]);
    }
  }
  each({i, n}, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
    const F w0 = load(w + j, lanes);
    for (int r = 0; r < kRows; ++r) sums[r][0] = fma(w0, load(x[r] + j, lanes), sums[r][0]);
  });
}

// Each weight row with kRows activation rows from row m on.
template <int kRows>
void direct(DType type, const RowsDot& a, int64_t m) {
  const auto x_bytes = static_cast<int64_t>(act_bytes(ActKind::f32, a.k));
  alignas(64) float buffer[kDepth];
  for (int64_t j = 0; j < a.n; ++j) {
    const std::byte* row = a.weight + j * a.row_bytes;
    F sums[kRows][2];
    for (auto& s : sums) s[0] = s[1] = splat(0.0f);
    for (int64_t k = 0; k < a.k; k += kDepth) {
      const int64_t n = least(kDepth, a.k - k);
      const std::byte* from = row + offset(a, k);
      for (int64_t line = 0; line < offset(a, n); line += 64)
        __builtin_prefetch(from + line + kPrefetchBytes);
      const float* x[kRows];
      for (int r = 0; r < kRows; ++r) x[r] = reinterpret_cast<const float*>(a.x + (m + r) * x_bytes) + k;
      accumulate<kRows>(values(type, from, n, buffer), x, n, sums);
    }
    for (int r = 0; r < kRows; ++r) a.y[(m + r) * a.ldy + j] = sum(sums[r][0] + sums[r][1]);
  }
}

constexpr int64_t kPanelRows = kTileVectors * kLanes;

// The transposed panel (kDepth, kPanelRows) and, before it, kLanes rows of values.
constexpr size_t kPanelBytes = static_cast<size_t>(kDepth * (kPanelRows + kLanes)) * sizeof(float);

// Weight rows [j, j + kPanelRows) x values [k, k + n), transposed; rows past the end are 0.
void fill_panel(DType type, const RowsDot& a, int64_t j, Range depth, float* rows, float* panel) {
  for (int64_t group = 0; group < kPanelRows; group += kLanes) {
    for (int64_t i = 0; i < kLanes; ++i) {
      float* to = rows + i * kDepth;
      const int64_t row = j + group + i;
      const int64_t used = row < a.n ? depth.size() : 0;
      if (used < kDepth) memset(to + used, 0, static_cast<size_t>(kDepth - used) * sizeof(float));
      if (used == 0) continue;
      const float* from = values(type, a.weight + row * a.row_bytes + offset(a, depth.begin), used, to);
      if (from != to) memcpy(to, from, static_cast<size_t>(used) * sizeof(float));
    }
    for (int64_t k = 0; k < depth.size(); k += kLanes) {
      F block[kLanes];
      for (int i = 0; i < kLanes; ++i) block[i] = load(rows + i * kDepth + k);
      transpose(block);
      for (int i = 0; i < kLanes; ++i) store(panel + (k + i) * kPanelRows + group, block[i]);
    }
  }
}

// Panels of weight rows, a stretch of depth at a time, with every activation row.
void by_panels(DType type, const RowsDot& a) {
  auto* rows = reinterpret_cast<float*>(a.scratch.data());
  float* panel = rows + kLanes * kDepth;
  const auto x_stride = static_cast<int64_t>(act_bytes(ActKind::f32, a.k) / sizeof(float));
  const auto* x = reinterpret_cast<const float*>(a.x);
  for (int64_t j = 0; j < a.n; j += kPanelRows) {
    const int64_t columns = least(kPanelRows, a.n - j);
    for (int64_t k = 0; k < a.k; k += kDepth) {
      const Range depth{k, least(a.k, k + kDepth)};
      fill_panel(type, a, j, depth, rows, panel);
      multiply(x + k, x_stride, {panel, kPanelRows}, {a.y + j, a.ldy},
               {.rows = a.rows, .columns = columns, .depth = depth.size(), .accumulate = k > 0});
    }
  }
}

}  // namespace

size_t dot_f32_scratch() { return kPanelBytes; }

void dot_f32(DType type, const RowsDot& a) {
  if (a.rows >= kPanelFrom && a.scratch.size() >= kPanelBytes) return by_panels(type, a);
  int64_t m = 0;
  for (; m + 4 <= a.rows; m += 4) direct<4>(type, a, m);
  for (; m < a.rows; ++m) direct<1>(type, a, m);
}

}  // namespace medlar::kernels::MEDLAR_ISA
