// Products of few activation rows: each weight row is read once, straight from its blocks, and multiplied
// with kRows rows of int8 activations while its codes are in registers. Reading memory in two long streams,
// with prefetch ahead, is what makes this as fast as memory; but what short rows cost besides, most of all at
// their ends, is shared by several.
#pragma once

#include "kernels/cpu/activation.h"
#include "kernels/cpu/dot.h"
#include "kernels/cpu/weights.h"

namespace medlar::kernels::MEDLAR_ISA {

// Vectors of codes whose values share a scale.
template <int kSub>
constexpr int sharing() {
  return kSub * Codes::kVectors > 64 ? kSub * Codes::kVectors / 64 : 1;
}

// fma(vector of codes times the outliers among its values, their scales, sum): `at` is its first value's
// place in the group, kBytes how many it has, scale what its lanes' codes are multiplied with.
template <bool kWide, int kBytes, class Vector>
MEDLAR_INLINE F add_outliers(const Q8Group& x, int at, Vector w, F scale, F sum) {
  constexpr int kBlocks = (kBytes + 31) / 32;
  const int first = at / kActBlock;
  for (int b = first; b < first + kBlocks; ++b) {
    if ((x.outliers >> b & 1) == 0) continue;
    const int place = kActBlock * b + x.at[b] - at;
    if (kBytes < kActBlock && (place < 0 || place >= kBytes)) continue;
    const F code = to_float(dot4<kWide>(splat_int(0), w, one_byte(place)));
    sum = fma(code, scale * splat(x.outlier[b]), sum);
  }
  return sum;
}

// The groups of each activation row.
template <int kRows>
struct ActRows {
  const Q8Group* row[kRows];

  MEDLAR_INLINE const Q8Group* operator[](int r) const { return row[r]; }
  // Whether any row's group has an outlier: what has none takes a path without tests.
  MEDLAR_INLINE bool any_outlier(int64_t g) const {
    unsigned all = 0;
    for (const Q8Group* groups : row) all |= groups[g].outliers;
    return all != 0;
  }
};

// The sum of products of the vectors of w from kVector on, which share a scale: as many as kSub values fill.
template <bool kWide, int kVector, int kSub>
MEDLAR_INLINE I shared_products(const Codes& w, const int8_t* x) {
  constexpr int kBytes = 64 / Codes::kVectors;
  I sum = splat_int(0);
  for (int v = 0; v < sharing<kSub>(); ++v)
    sum = dot4<kWide>(sum, w.v[kVector + v], load_bytes(x + kBytes * v));
  return sum;
}

// Independent sums of each row, so that few rows do not wait for one addition after the other.
constexpr int chains(int rows) { return rows == 1 ? 4 : rows == 2 ? 2 : 1; }

template <int kRows, int kChains>
struct ChainedSums {
  F sums[kRows][kChains];

  MEDLAR_INLINE ChainedSums() {
    for (auto& row : sums) {
      for (F& sum : row) sum = splat(0.0f);
    }
  }
  // The sum that the product of the group's vector number kVector is added to.
  template <int kVector>
  MEDLAR_INLINE F& at(int r) {
    return sums[r][kVector % kChains];
  }
  MEDLAR_INLINE F total(int r) const {
    F all = sums[r][0];
    for (int c = 1; c < kChains; ++c) all = all + sums[r][c];
    return all;
  }
};

// Sums of one weight row, of blocks of 32, with kRows activation rows.
template <class W, int kRows, int kChains>
struct Direct32 {
  using Rows = ActRows<kRows>;
  static constexpr int64_t kGroupBytes = 8 * W::kBlockBytes;
  ChainedSums<kRows, kChains> sums;
  Quad offsets[kRows];  // sums of weight offset * activation sum

  MEDLAR_INLINE Direct32() {
    for (Quad& offset : offsets) offset = splat_quad(0.0f);
  }

  // A group whole.
  template <bool kOutliers>
  MEDLAR_INLINE void whole(const Rows& x, const std::byte* p, int64_t g) {
    step<kOutliers, 4, 0>(x, p, g, 0);
    step<kOutliers, 4, 1>(x, p + kGroupBytes / 2, g, 4);
  }

  // The first `left` blocks of group g.
  MEDLAR_INLINE void rest(const Rows& x, const std::byte* p, int64_t g, int64_t left) {
    int64_t done = 0;
    if (left >= 4) {
      step<true, 4, 0>(x, p, g, 0);
      done = 4;
    }
    if (left - done >= 2) {
      step<true, 2, 0>(x, p + done * W::kBlockBytes, g, done);
      done += 2;
    }
    if (left > done) {
      alignas(64) std::byte two[2 * W::kBlockBytes] = {};
      memcpy(two, p + done * W::kBlockBytes, W::kBlockBytes);
      step<true, 1, 0>(x, two, g, done);
    }
  }

  MEDLAR_INLINE F total(int r) const { return sums.total(r) - extend(offsets[r]); }

 private:
  // kBlocks blocks from `block` on: 4, 2, or 1 with a block of zeros behind it.
  template <bool kOutliers, int kBlocks, int kChain>
  MEDLAR_INLINE void step(const Rows& x, const std::byte* p, int64_t g, int64_t block) {
    const Scales32 w = W::template scales<(kBlocks + 1) / 2 * 2>(p);
    Quad scale[kRows];
    for (int r = 0; r < kRows; ++r) {
      const Q8Group& group = x[r][g];
      scale[r] = w.scale * load4<kBlocks>(group.scale + block);
      if constexpr (!W::kWide || kWideOffset != 0) {
        offsets[r] = fma4(w.offset, load4<kBlocks>(group.sum + block), offsets[r]);
      }
    }
    part<kOutliers, 0, kChain>(x, p, w.scale, scale, g, block);
    if constexpr (kBlocks > 2) part<kOutliers, 1, kChain>(x, p, w.scale, scale, g, block);
  }

  template <bool kOutliers, int kPart, int kChain>
  MEDLAR_INLINE void part(const Rows& x, const std::byte* p, Quad w_scale, const Quad (&scale)[kRows],
                          int64_t g, int64_t block) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r)
      add<kOutliers, kPart, 0, kChain>(w, w_scale, scale[r], x[r][g], block * kActBlock, r);
  }

  template <bool kOutliers, int kPart, int kVector, int kChain>
  MEDLAR_INLINE void add(const Codes& w, Quad w_scale, Quad scale, const Q8Group& group, int64_t first,
                         int r) {
    constexpr int kBytes = 64 / Codes::kVectors;
    constexpr int kStart = 64 * kPart + kBytes * kVector;
    const int place = static_cast<int>(first) + kStart;
    constexpr int kNext = kVector + sharing<32>();
    const F products = to_float(shared_products<W::kWide, kVector, 32>(w, group.q + place));
    F& sum = sums.template at<2 * kChain + (kPart * Codes::kVectors + kVector) / sharing<32>()>(r);
    sum = fma(products, spread<32, kStart>(scale), sum);
    if constexpr (kOutliers) {
      for (int v = kVector; v < kNext; ++v)
        sum = add_outliers<W::kWide, kBytes>(group, place + kBytes * (v - kVector), w.v[v],
                                             spread<32, kStart>(w_scale), sum);
    }
    if constexpr (kNext < Codes::kVectors)
      add<kOutliers, kPart, kNext, kChain>(w, w_scale, scale, group, first, r);
  }
};

// The same of blocks of 256.
template <class W, int kRows, int kChains>
struct Direct256 {
  using Rows = ActRows<kRows>;
  static constexpr int64_t kGroupBytes = W::kStepBytes;
  ChainedSums<kRows, kChains> sums;

  template <bool kOutliers>
  MEDLAR_INLINE void whole(const Rows& x, const std::byte* w, int64_t g) {
    const Scales256<kScales> scales = W::scales(w);
    Factors scale[kRows];
    for (int r = 0; r < kRows; ++r) {
      const Q8Group& group = x[r][g];
      const Factors x_scale = stretch_floats<kScales>(group.scale);
      const Factors x_sum = load_floats<kScales>(W::kSub == 16 ? group.half_sum : group.sum);
      for (int i = 0; i < Factors::kVectors; ++i) {
        scale[r].v[i] = scales.scale.v[i] * x_scale.v[i];
        if constexpr (!W::kWide || kWideOffset != 0)
          sums.template at<0>(r) = fnma(scales.offset.v[i], x_sum.v[i], sums.template at<0>(r));
      }
    }
    parts<kOutliers>(x, w, scales.scale, scale, g);
  }

  MEDLAR_INLINE void rest(const Rows&, const std::byte*, int64_t, int64_t) {}

  MEDLAR_INLINE F total(int r) const { return sums.total(r); }

 private:
  static constexpr int kScales = W::kStep / W::kSub;
  using Factors = Floats<kScales>;

  template <bool kOutliers, int kPart, int kVector>
  MEDLAR_INLINE void add(const Codes& w, const Factors& w_scale, const Factors& scale, const Q8Group& group,
                         int r) {
    constexpr int kBytes = 64 / Codes::kVectors;
    constexpr int kStart = 64 * kPart + kBytes * kVector;
    constexpr int kNext = kVector + sharing<W::kSub>();
    const F products = to_float(shared_products<W::kWide, kVector, W::kSub>(w, group.q + kStart));
    F& sum = sums.template at<(kPart * Codes::kVectors + kVector) / sharing<W::kSub>()>(r);
    sum = fma(products, spread<W::kSub, kStart>(scale), sum);
    if constexpr (kOutliers) {
      for (int v = kVector; v < kNext; ++v)
        sum = add_outliers<W::kWide, kBytes>(group, kStart + kBytes * (v - kVector), w.v[v],
                                             spread<W::kSub, kStart>(w_scale), sum);
    }
    if constexpr (kNext < Codes::kVectors) add<kOutliers, kPart, kNext>(w, w_scale, scale, group, r);
  }

  template <bool kOutliers, int kPart = 0>
  MEDLAR_INLINE void parts(const Rows& x, const std::byte* p, const Factors& w_scale,
                           const Factors (&scale)[kRows], int64_t g) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r) add<kOutliers, kPart, 0>(w, w_scale, scale[r], x[r][g], r);
    if constexpr (kPart < 3) parts<kOutliers, kPart + 1>(x, p, w_scale, scale, g);
  }
};

// Group g of kWeights weight rows.
template <bool kOutliers, int kWeights, class Kernel>
MEDLAR_INLINE void multiply_group(Kernel (&kernels)[kWeights], const typename Kernel::Rows& x,
                                  const std::byte* p, int64_t row_bytes, int64_t g) {
  MEDLAR_UNROLL
  for (int i = 0; i < kWeights; ++i, p += row_bytes) {
    for (int64_t line = 0; line < Kernel::kGroupBytes; line += 64)
      __builtin_prefetch(p + line + kPrefetchBytes);
    kernels[i].template whole<kOutliers>(x, p, g);
  }
}

// Weight rows [j, j + kWeights).
template <class Kernel, int kWeights, int kRows>
MEDLAR_INLINE void multiply_rows(const RowsDot& a, const ActRows<kRows>& x, float* y, int64_t j) {
  const int64_t whole = a.k / kActGroup, left = a.k % kActGroup / kActBlock;
  Kernel kernels[kWeights];
  const std::byte* p = a.weight + j * a.row_bytes;
  for (int64_t g = 0; g < whole; ++g, p += Kernel::kGroupBytes) {
    if (x.any_outlier(g)) {
      multiply_group<true>(kernels, x, p, a.row_bytes, g);
    } else {
      multiply_group<false>(kernels, x, p, a.row_bytes, g);
    }
  }
  if (left > 0) {
    MEDLAR_UNROLL
    for (int i = 0; i < kWeights; ++i, p += a.row_bytes) kernels[i].rest(x, p, whole, left);
  }
  if constexpr (kWeights == 4) {
    static_assert(kRows == 1);
    store4(y + j, sums(kernels[0].total(0), kernels[1].total(0), kernels[2].total(0), kernels[3].total(0)));
  } else {
    static_assert(kWeights == 1);
    for (int r = 0; r < kRows; ++r) y[r * a.ldy + j] = sum(kernels[0].total(r));
  }
}

// Rows of at most so many bytes are multiplied four at a time: their ends cost as much as a long row's, and
// all four are as near each other as a long row's ends.
inline constexpr int64_t kShortRow = 1024;

// Every weight row with kRows activation rows from row m on. Long rows come from two halves in turn, as
// memory delivers more in two streams than in one.
template <template <class, int, int> class Direct, class W, int kRows>
MEDLAR_INLINE void direct_rows(const RowsDot& a, int64_t groups, int64_t m) {
  ActRows<kRows> x;
  for (int r = 0; r < kRows; ++r) x.row[r] = reinterpret_cast<const Q8Group*>(a.x) + (m + r) * groups;
  float* y = a.y + m * a.ldy;
  int64_t done = 0;
  if constexpr (kRows == 1) {
    if (a.row_bytes <= kShortRow) {
      for (; done + 4 <= a.n; done += 4) multiply_rows<Direct<W, 1, 1>, 4>(a, x, y, done);
    }
  }
  const int64_t second = (a.n - done + 1) / 2;
  for (int64_t i = 0; i < a.n - done; ++i)
    multiply_rows<Direct<W, kRows, chains(kRows)>, 1>(a, x, y, done + i / 2 + i % 2 * second);
}

template <class W, template <class, int, int> class Direct>
void direct(const RowsDot& a) {
  const int64_t groups = (a.k + kActGroup - 1) / kActGroup;
  int64_t m = 0;
  for (; m + 4 <= a.rows; m += 4) direct_rows<Direct, W, 4>(a, groups, m);
  switch (a.rows - m) {
    case 3:
      return direct_rows<Direct, W, 3>(a, groups, m);
    case 2:
      return direct_rows<Direct, W, 2>(a, groups, m);
    case 1:
      return direct_rows<Direct, W, 1>(a, groups, m);
    default:
      return;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
