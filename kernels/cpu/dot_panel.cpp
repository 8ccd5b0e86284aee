// Products of many activation rows. A group of weight rows, kPanelDepth values deep, is unpacked into scratch
// with the rows' codes interleaved by fours, so that a vector holds four codes of each of kLanes rows and
// meets four broadcast activations. Integer sums of a scale's 32 or 16 values are exact. The group stays in
// the first cache while the activations stream past it from the second, where they stay for a panel of
// several groups. (The blocking is Goto & van de Geijn's, 2008.)
#include "kernels/cpu/activation.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/dot_block.h"
#include "kernels/cpu/panel.h"
#include "kernels/types.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

constexpr int64_t kPanelRows = 128;
constexpr int64_t kMaxScales = kPanelDepth / 16;

struct alignas(64) Group {
  uint8_t codes[kPanelDepth * kGroupRows];  // interleaved
  float scale[kMaxScales * kGroupRows];     // [value / kSub][row]
  float offset[kMaxScales * kGroupRows];
};

// Rows being unpacked, before they are interleaved.
struct alignas(64) Rows {
  uint8_t codes[kLanes][kPanelDepth];
  float scale[kLanes][kMaxScales];
  float offset[kLanes][kMaxScales];
};

struct Scratch {
  Rows rows;
  Group group;
};

// kLanes rows from row j on, to half `half` of the group; rows past the end are 0.
void fill_half(const RowsDot& a, UnpackFn unpack, int64_t j, Range depth, int scales, Rows& rows, Group& to,
               int64_t half) {
  const int64_t from = a.row_bytes * depth.begin / a.k;
  for (int64_t i = 0; i < kLanes; ++i) {
    if (j + i < a.n) {
      const std::byte* p = a.weight + (j + i) * a.row_bytes + from;
      unpack(p, depth.size(), {rows.codes[i], rows.scale[i], rows.offset[i]});
      const int64_t bytes = a.row_bytes * depth.size() / a.k;  // the next stretch
      for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(p + bytes + line);
    } else {
      memset(rows.codes[i], 0, sizeof rows.codes[i]);
      memset(rows.scale[i], 0, sizeof rows.scale[i]);
      memset(rows.offset[i], 0, sizeof rows.offset[i]);
    }
  }
  const int64_t lane = half * kLanes;
  interleave(rows.codes, depth.size(), lane, to.codes);
  for (int s = 0; s < scales; ++s) {
    for (int i = 0; i < kLanes; ++i) {
      to.scale[s * kGroupRows + lane + i] = rows.scale[i][s];
      to.offset[s * kGroupRows + lane + i] = rows.offset[i][s];
    }
  }
}

// The scale of each kSub values of one activation row, and the sum of those values.
struct alignas(64) Factors {
  float scale[kMaxScales];
  float sum[kMaxScales];
};

template <int kSub>
MEDLAR_INLINE void read_factors(const Q8Group* x, int64_t groups, Factors& to) {
  constexpr int kScales = kActGroup / kSub;
  for (int64_t g = 0; g < groups; ++g) {
    store_floats(to.scale + g * kScales, stretch_floats<kScales>(x[g].scale));
    memcpy(to.sum + g * kScales, kSub == 16 ? x[g].half_sum : x[g].sum, kScales * sizeof(float));
  }
}

// One activation row's outliers by one group of weight rows.
template <int kSub>
MEDLAR_INLINE void add_outliers(const Group& w, const Q8Group* x, int64_t groups, F (&sums)[2]) {
  for (int64_t g = 0; g < groups; ++g) {
    for (unsigned left = x[g].outliers; left != 0; left &= left - 1) {
      const int b = __builtin_ctz(left);
      const int64_t k = g * kActGroup + b * kActBlock + x[g].at[b];
      const F value = splat(x[g].outlier[b]);
      for (int v = 0; v < 2; ++v) {
        const F scale = load(w.scale + k / kSub * kGroupRows + v * kLanes);
        sums[v] = fma(code_of_rows(w.codes, k, v), scale * value, sums[v]);
      }
    }
  }
}

// Where a tile's results go: `columns` of kGroupRows, added to what is there or not.
struct Target {
  float* y;
  int64_t ldy;
  int64_t columns;
  bool accumulate;
};

template <class Fn>
MEDLAR_INLINE void each_column(const Target& t, Fn fn) {
  each({0, t.columns}, [&](int64_t i, auto lanes)
                           __attribute__((always_inline)) { fn(static_cast<int>(i / kLanes), lanes); });
}

// What a tile's code depends on beside its size: the values that share a scale, whether codes are wide, and
// how many products of bytes a partial sum takes (run_steps).
template <int kSub_, bool kWide_, int kRun_>
struct Kind {
  static constexpr int kSub = kSub_, kRun = kRun_;
  static constexpr bool kWide = kWide_;
};

// kRows activation rows by one group of weight rows.
template <int kRows, class K>
MEDLAR_INLINE void tile(const Group& g, const Q8Group* x, int64_t x_groups, int64_t depth, const Target& t) {
  const int64_t groups = (depth + kActGroup - 1) / kActGroup;
  Factors factors[kRows];
  const int8_t* q[kRows];
  for (int r = 0; r < kRows; ++r) {
    read_factors<K::kSub>(x + r * x_groups, groups, factors[r]);
    q[r] = x[r * x_groups].q;
  }
  F sums[kRows][2];
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = sums[r][1] = splat(0.0f);
    if (!t.accumulate) continue;
    each_column(t, [&](int v, auto lanes) __attribute__((always_inline)) {
      sums[r][v] = load(t.y + r * t.ldy + v * kLanes, lanes);
    });
  }
  for (int64_t s = 0; s < depth / K::kSub; ++s) {
    const int64_t at = s * K::kSub;
    const int64_t x_at = at / kActGroup * static_cast<int64_t>(sizeof(*x)) + at % kActGroup;
    I products[kRows][2];
    multiply_block<K::kSub, K::kWide, K::kRun>(g.codes + at * kGroupRows, q, x_at, products);
    for (int v = 0; v < 2; ++v) {
      const F scale = load(g.scale + s * kGroupRows + v * kLanes);
      const F offset = load(g.offset + s * kGroupRows + v * kLanes);
      for (int r = 0; r < kRows; ++r) {
        sums[r][v] = fma(to_float(products[r][v]), scale * splat(factors[r].scale[s]), sums[r][v]);
        if constexpr (!K::kWide || kWideOffset != 0)
          sums[r][v] = fnma(offset, splat(factors[r].sum[s]), sums[r][v]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    add_outliers<K::kSub>(g, x + r * x_groups, groups, sums[r]);
    each_column(t, [&](int v, auto lanes) __attribute__((always_inline)) {
      store(t.y + r * t.ldy + v * kLanes, sums[r][v], lanes);
    });
  }
}

// All activation rows by one group, kRows at a time, then what is left.
template <int kRows, class K>
void rows_by_group(const Group& g, const Q8Group* x, int64_t rows, int64_t x_groups, int64_t depth,
                   Target t) {
  for (; rows >= kRows; rows -= kRows, x += kRows * x_groups, t.y += kRows * t.ldy) {
    tile<kRows, K>(g, x, x_groups, depth, t);
  }
  if constexpr (kRows > 1) {
    if (rows > 0) rows_by_group<(kRows + 1) / 2, K>(g, x, rows, x_groups, depth, t);
  }
}

template <class K>
void by_panels(const RowsDot& a, UnpackFn unpack) {
  auto& scratch = *reinterpret_cast<Scratch*>(a.scratch.data());
  const int64_t x_groups = (a.k + kActGroup - 1) / kActGroup;
  for (int64_t j = 0; j < a.n; j += kPanelRows) {
    for (int64_t k = 0; k < a.k; k += kPanelDepth) {
      const Range depth{k, least(a.k, k + kPanelDepth)};
      const auto* x = reinterpret_cast<const Q8Group*>(a.x) + k / kActGroup;
      const int scales = static_cast<int>(depth.size() / K::kSub);
      for (int64_t first = j; first < least(a.n, j + kPanelRows); first += kGroupRows) {
        Group& g = scratch.group;
        fill_half(a, unpack, first, depth, scales, scratch.rows, g, 0);
        fill_half(a, unpack, first + kLanes, depth, scales, scratch.rows, g, 1);
        rows_by_group<kDotTileRows, K>(g, x, a.rows, x_groups, depth.size(),
                                       {a.y + first, a.ldy, least(kGroupRows, a.n - first), k > 0});
      }
    }
  }
}

// Codes up to kTop, unsigned, and wide ones.
template <int kSub, int kTop>
void narrow(const RowsDot& a, DType type) {
  by_panels<Kind<kSub, false, run_steps(kSub, kTop)>>(a, unpack_for(type));
}
void wide(const RowsDot& a, DType type) {
  by_panels<Kind<32, true, run_steps(32, 255)>>(a, unpack_for(type));
}

}  // namespace

size_t dot_q8_scratch() { return sizeof(Scratch); }

void dot_by_panels(DType type, const RowsDot& a) {
  switch (type) {
    case DType::q4_0:
    case DType::q4_1:
    case DType::q4_k:
    case DType::iq1_s:
    case DType::tq2_0:
    case DType::tq1_0:
      return narrow<32, 15>(a, type);
    case DType::q5_0:
    case DType::q5_1:
    case DType::q5_k:
    case DType::mxfp4:
    case DType::iq3_s:
      return narrow<32, 31>(a, type);
    case DType::iq3_xxs:
    case DType::iq2_xxs:
      return narrow<32, 127>(a, type);
    case DType::q8_0:
    case DType::iq4_nl:
    case DType::iq4_xs:
      return wide(a, type);
    case DType::q2_k:
    case DType::q3_k:
      return narrow<16, 7>(a, type);
    case DType::q6_k:
    case DType::iq1_m:
    case DType::nvfp4:
      return narrow<16, 63>(a, type);
    case DType::iq2_s:
    case DType::iq2_xs:
      return narrow<16, 127>(a, type);
    default:
      return;
  }
}

void dot_q8(DType type, const RowsDot& a) {
  if ((a.uniform || a.rows >= kPanelFrom) && a.scratch.size() >= sizeof(Scratch))
    return dot_by_panels(type, a);
  dot_direct(type, a);
}

}  // namespace medlar::kernels::MEDLAR_ISA
