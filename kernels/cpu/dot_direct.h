// Products of few activation rows: each weight row is read once, straight from its blocks, and multiplied
// with kRows rows of int8 activations while its codes are in registers. Reading memory in one long stream,
// one row after the other, with prefetch ahead is what makes this as fast as memory.
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

// Whether blocks [first, first + count) of any row's group have outliers: what has none takes a path without
// tests.
template <int kRows>
MEDLAR_INLINE bool any_outlier(const Q8Group* const (&x)[kRows], int64_t group, int64_t first, int count) {
  unsigned all = 0;
  for (int r = 0; r < kRows; ++r) all |= x[r][group].outliers;
  return (all >> first & ((1u << count) - 1)) != 0;
}

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

template <int kRows>
struct ChainedSums {
  static constexpr int kChains = chains(kRows);
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
template <class W, int kRows>
struct Direct32 {
  ChainedSums<kRows> sums;
  Quad offsets[kRows];  // sums of weight offset * activation sum
  const Q8Group* x[kRows];
  int64_t g = 0, block = 0;  // where in x

  MEDLAR_INLINE Direct32(const Q8Group* rows, int64_t groups) {
    for (int r = 0; r < kRows; ++r) {
      offsets[r] = splat_quad(0.0f);
      x[r] = rows + r * groups;
    }
  }

  template <bool kOutliers, int kPart>
  MEDLAR_INLINE void part(const std::byte* p, Quad w_scale, const Quad (&scale)[kRows]) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r) add<kOutliers, kPart, 0>(w, w_scale, scale[r], r);
  }

  template <bool kOutliers, int kPart, int kVector>
  MEDLAR_INLINE void add(const Codes& w, Quad w_scale, Quad scale, int r) {
    constexpr int kBytes = 64 / Codes::kVectors;
    constexpr int kStart = 64 * kPart + kBytes * kVector;
    const Q8Group& group = x[r][g];
    const int place = static_cast<int>(block * kActBlock) + kStart;
    constexpr int kNext = kVector + sharing<32>();
    const F products = to_float(shared_products<W::kWide, kVector, 32>(w, group.q + place));
    F& sum = sums.template at<(kPart * Codes::kVectors + kVector) / sharing<32>()>(r);
    sum = fma(products, spread<32, kStart>(scale), sum);
    if constexpr (kOutliers) {
      for (int v = kVector; v < kNext; ++v)
        sum = add_outliers<W::kWide, kBytes>(group, place + kBytes * (v - kVector), w.v[v],
                                             spread<32, kStart>(w_scale), sum);
    }
    if constexpr (kNext < Codes::kVectors) add<kOutliers, kPart, kNext>(w, w_scale, scale, r);
  }

  // kBlocks blocks: 4, 2, or 1 with a block of zeros behind it.
  template <int kBlocks, int kChain = 0>
  MEDLAR_INLINE void step(const std::byte* p, int64_t first_block) {
    block = first_block;
    const Scales32 w = W::template scales<(kBlocks + 1) / 2 * 2>(p);
    Quad scale[kRows];
    for (int r = 0; r < kRows; ++r) {
      const Q8Group& group = x[r][g];
      scale[r] = w.scale * load4<kBlocks>(group.scale + block);
      if constexpr (!W::kWide || kWideOffset != 0) {
        offsets[r] = fma4(w.offset, load4<kBlocks>(group.sum + block), offsets[r]);
      }
    }
    if (any_outlier(x, g, block, kBlocks)) {
      parts<true, kBlocks, kChain>(p, w.scale, scale);
    } else {
      parts<false, kBlocks, kChain>(p, w.scale, scale);
    }
  }

#if defined(MEDLAR_HALVES)
  // Four blocks by halves.
  template <bool kOutliers, int kChain>
  MEDLAR_INLINE void fours(const std::byte* p, Quad w_scale, const Quad (&scale)[kRows]) {
    const auto w = nibbles_of_four<W::kBlockBytes, W::kNibbles>(p);
    for (int r = 0; r < kRows; ++r) {
      const Q8Group& group = x[r][g];
      const auto values = halves_of_four(group.q + block * kActBlock);
      const I products = dot4<false>(dot4<false>(splat_int(0), w.low, values.low), w.high, values.high);
      F& sum = sums.template at<kChain>(r);
      sum = fma(to_float(products), spread_of_four(scale[r]), sum);
      if constexpr (!kOutliers) continue;
      for (int b = 0; b < 4; ++b) {
        if ((group.outliers >> (block + b) & 1) == 0) continue;
        const int at = group.at[block + b];
        const F code =
            to_float(dot4<false>(splat_int(0), at < 16 ? w.low : w.high, one_byte(16 * b + at % 16)));
        sum = fma(code, spread_of_four(w_scale) * splat(group.outlier[block + b]), sum);
      }
    }
  }
#endif

  template <bool kOutliers, int kBlocks, int kChain>
  MEDLAR_INLINE void parts(const std::byte* p, Quad w_scale, const Quad (&scale)[kRows]) {
#if defined(MEDLAR_HALVES)
    if constexpr (kBlocks == 4 && requires { W::kNibbles; })
      return fours<kOutliers, kChain>(p, w_scale, scale);
#endif
    part<kOutliers, 0>(p, w_scale, scale);
    if constexpr (kBlocks > 2) part<kOutliers, 1>(p, w_scale, scale);
  }

  MEDLAR_INLINE void row(const std::byte* w, int64_t k) {
    constexpr int kBytes = W::kBlockBytes;
    for (; (g + 1) * kActGroup <= k; ++g, w += 8 * kBytes) {
      for (int line = 0; line < 8 * kBytes; line += 64) __builtin_prefetch(w + line + kPrefetchBytes);
      step<4>(w, 0);
      step<4, 1>(w + 4 * kBytes, 4);
    }
    const int64_t left = (k - g * kActGroup) / kActBlock;
    int64_t done = 0;
    if (left - done >= 4) {
      step<4>(w, done);
      done += 4;
    }
    if (left - done >= 2) {
      step<2>(w + done * kBytes, done);
      done += 2;
    }
    if (left > done) {
      alignas(64) std::byte two[2 * W::kBlockBytes] = {};
      memcpy(two, w + done * kBytes, W::kBlockBytes);
      step<1>(two, done);
    }
  }

  MEDLAR_INLINE float result(int r) const { return sum(sums.total(r) - extend(offsets[r])); }
};

// The same of blocks of 256.
template <class W, int kRows>
struct Direct256 {
  ChainedSums<kRows> sums;
  const Q8Group* x[kRows];

  MEDLAR_INLINE Direct256(const Q8Group* rows, int64_t groups) {
    for (int r = 0; r < kRows; ++r) x[r] = rows + r * groups;
  }

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
  MEDLAR_INLINE void parts(const std::byte* p, const Factors& w_scale, const Factors (&scale)[kRows],
                           int64_t g) {
    const Codes w = W::template codes<kPart>(p);
    for (int r = 0; r < kRows; ++r) add<kOutliers, kPart, 0>(w, w_scale, scale[r], x[r][g], r);
    if constexpr (kPart < 3) parts<kOutliers, kPart + 1>(p, w_scale, scale, g);
  }

  MEDLAR_INLINE void row(const std::byte* w, int64_t k) {
    for (int64_t g = 0; g < k / kActGroup; ++g, w += W::kStepBytes) {
      for (int line = 0; line < W::kStepBytes; line += 64) __builtin_prefetch(w + line + kPrefetchBytes);
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
      if (any_outlier(x, g, 0, 8)) {
        parts<true>(w, scales.scale, scale, g);
      } else {
        parts<false>(w, scales.scale, scale, g);
      }
    }
  }

  MEDLAR_INLINE float result(int r) const { return sum(sums.total(r)); }
};

// Every weight row with kRows activation rows from row m on.
template <class Kernel, int kRows>
MEDLAR_INLINE void direct_rows(const RowsDot& a, int64_t groups, int64_t m) {
  for (int64_t j = 0; j < a.n; ++j) {
    Kernel kernel(reinterpret_cast<const Q8Group*>(a.x) + m * groups, groups);
    kernel.row(a.weight + j * a.row_bytes, a.k);
    for (int r = 0; r < kRows; ++r) a.y[(m + r) * a.ldy + j] = kernel.result(r);
  }
}

template <class W, template <class, int> class Direct>
void direct(const RowsDot& a) {
  const int64_t groups = (a.k + kActGroup - 1) / kActGroup;
  int64_t m = 0;
  for (; m + 4 <= a.rows; m += 4) direct_rows<Direct<W, 4>, 4>(a, groups, m);
  switch (a.rows - m) {
    case 3:
      return direct_rows<Direct<W, 3>, 3>(a, groups, m);
    case 2:
      return direct_rows<Direct<W, 2>, 2>(a, groups, m);
    case 1:
      return direct_rows<Direct<W, 1>, 1>(a, groups, m);
    default:
      return;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
