// Products with f32 activations: the only ones that f32, f16 and bf16 weights have, and the exact ones of the
// quantized types, whose values go through a buffer.
#include "kernels/cpu/activation.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/panel.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kDepth = 256;  // values of a row at a time; a multiple of every block

// Where a row's values come from: `load(i, lanes)` gives values i to i + kLanes as f32.
struct FromF32 {
  const float* from;
  template <class Lanes>
  MEDLAR_INLINE F operator()(int64_t i, Lanes lanes) const {
    return load(from + i, lanes);
  }
};

#if defined(MEDLAR_ISA_SCALAR)

// n values of any type but f32, in `buffer`.
MEDLAR_INLINE FromF32 decode(DType type, const std::byte* row, int64_t n, float* buffer) {
  decode_values(type, row, buffer, n);
  return {buffer};
}

#else

struct FromF16 {
  const std::byte* from;
  template <class Lanes>
  MEDLAR_INLINE F operator()(int64_t i, Lanes lanes) const {
    return load_f16(from + 2 * i, lanes);
  }
};

struct FromBf16 {
  const std::byte* from;
  template <class Lanes>
  MEDLAR_INLINE F operator()(int64_t i, Lanes lanes) const {
    return load_bf16(from + 2 * i, lanes);
  }
};

// n values of a quantized type, in `buffer`.
MEDLAR_INLINE FromF32 decode(DType type, const std::byte* row, int64_t n, float* buffer) {
  alignas(64) uint8_t codes[kDepth + 64];
  alignas(64) float scale[16], offset[16];
  unpack_for(type)(row, n, {codes, scale, offset});
  const int64_t span = values_per_scale(type);
  for (int64_t i = 0; i < n; i += span) {
    const F s = splat(scale[i / span]), o = splat(-offset[i / span]);
    for (int64_t j = i; j < i + span; j += kLanes) store(buffer + j, fma(load_code(codes + j), s, o));
  }
  return {buffer};
}

#endif

// fn(source) for n values of a row.
template <class Fn>
MEDLAR_INLINE void with_values(DType type, const std::byte* row, int64_t n, Fn fn) {
  if (type == DType::f32) return fn(FromF32{reinterpret_cast<const float*>(row)});
#if !defined(MEDLAR_ISA_SCALAR)
  if (type == DType::f16) return fn(FromF16{row});
  if (type == DType::bf16) return fn(FromBf16{row});
#endif
  alignas(64) float buffer[kDepth];
  fn(decode(type, row, n, buffer));
}

// Bytes from the start of a row to its value k, which starts a block.
MEDLAR_INLINE int64_t offset(const RowsDot& a, int64_t k) { return k == 0 ? 0 : a.row_bytes * k / a.k; }

// Accumulators of one row: enough to hide the latency of a fused multiply-add.
template <int kRows>
inline constexpr int kChains = kRows == 1 ? 4 : 2;

template <int kRows>
struct Sums {
  F v[kRows][kChains<kRows>];
};

template <int kRows, class Source>
MEDLAR_INLINE void accumulate(Source w, const float* const* x, int64_t n, Sums<kRows>& sums) {
  constexpr int kStep = kChains<kRows> * kLanes;
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (int c = 0; c < kChains<kRows>; ++c) {
      const F value = w(i + c * kLanes, Full{});
      for (int r = 0; r < kRows; ++r) sums.v[r][c] = fma(value, load(x[r] + i + c * kLanes), sums.v[r][c]);
    }
  }
  each({i, n}, [&](int64_t j, auto lanes) __attribute__((always_inline)) {
    const F value = w(j, lanes);
    for (int r = 0; r < kRows; ++r) sums.v[r][0] = fma(value, load(x[r] + j, lanes), sums.v[r][0]);
  });
}

// Each weight row with kRows activation rows from row m on.
template <int kRows>
void direct(DType type, const RowsDot& a, int64_t m) {
  const auto x_bytes = static_cast<int64_t>(act_bytes(ActKind::f32, a.k));
  for (int64_t j = 0; j < a.n; ++j) {
    const std::byte* row = a.weight + j * a.row_bytes;
    Sums<kRows> sums;
    for (auto& chains : sums.v) {
      for (F& chain : chains) chain = splat(0.0f);
    }
    for (int64_t k = 0; k < a.k; k += kDepth) {
      const int64_t n = least(kDepth, a.k - k);
      const std::byte* from = row + offset(a, k);
      const int64_t bytes = offset(a, n);
      for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(from + line + kPrefetchBytes);
      const float* x[kRows];
      for (int r = 0; r < kRows; ++r) x[r] = reinterpret_cast<const float*>(a.x + (m + r) * x_bytes) + k;
      with_values(type, from, n,
                  [&](auto w) __attribute__((always_inline)) { accumulate<kRows>(w, x, n, sums); });
    }
    for (int r = 0; r < kRows; ++r) {
      F total = sums.v[r][0];
      for (int c = 1; c < kChains<kRows>; ++c) total = total + sums.v[r][c];
      a.y[(m + r) * a.ldy + j] = sum(total);
    }
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
      with_values(type, a.weight + row * a.row_bytes + offset(a, depth.begin), used,
                  [&](auto w) __attribute__((always_inline)) {
                    each({0, used}, [&](int64_t k, auto lanes) __attribute__((always_inline)) {
                      store(to + k, w(k, lanes), lanes);
                    });
                  });
    }
    for (int64_t k = 0; k < depth.size(); k += kLanes) {
      F block[kLanes];
      MEDLAR_UNROLL
      for (int i = 0; i < kLanes; ++i) block[i] = load(rows + i * kDepth + k);
      transpose(block);
      MEDLAR_UNROLL
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

void row_values(DType type, const std::byte* from, int64_t n, float* to) {
  const int64_t depth_bytes = stored_bytes(type, kDepth);
  for (int64_t k = 0; k < n; k += kDepth, from += depth_bytes) {
    const int64_t some = least(kDepth, n - k);
    with_values(type, from, some, [&](auto w) __attribute__((always_inline)) {
      each({0, some}, [&](int64_t i, auto lanes)
                          __attribute__((always_inline)) { store(to + k + i, w(i, lanes), lanes); });
    });
  }
}

void dot_f32(DType type, const RowsDot& a) {
  if ((a.uniform || a.rows >= kF32PanelFrom) && a.scratch.size() >= kPanelBytes) return by_panels(type, a);
  int64_t m = 0;
  for (; m + 4 <= a.rows; m += 4) direct<4>(type, a, m);
  for (; m < a.rows; ++m) direct<1>(type, a, m);
}

}  // namespace medlar::kernels::MEDLAR_ISA
