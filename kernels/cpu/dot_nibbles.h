// Direct products with blocks that are a scale, or a scale and a minimum, and 16 bytes of codes, where a
// vector holds the halves of four blocks: their values i and 16 + i share a byte, so one scale a lane serves
// both, and eight blocks share the work on their scales.
#pragma once

#include "kernels/cpu/dot_direct.h"

#if defined(MEDLAR_HALVES)

namespace medlar::kernels::MEDLAR_ISA {

template <class W, int kRows, int kChains>
struct DirectNibbles {
  using Rows = ActRows<kRows>;
  static constexpr int64_t kHalfBytes = 4 * W::kBlockBytes;
  static constexpr int64_t kGroupBytes = 2 * kHalfBytes;
  ChainedSums<kRows, kChains> sums;

  template <bool kOutliers>
  MEDLAR_INLINE void whole(const Rows& x, const std::byte* p, int64_t g) {
    const std::byte* q = p + kHalfBytes;
    group<kOutliers, 8>(x, g, {load_bytes(p), load_bytes(q - 64)},
                        {load_bytes(q), load_bytes(q + kHalfBytes - 64)});
  }

  // Of what is behind the row nothing is read; zeros take its place.
  MEDLAR_INLINE void rest(const Rows& x, const std::byte* p, int64_t g, int64_t left) {
    const int64_t bytes = left * W::kBlockBytes;
    const auto at = [&](int64_t from)
                        __attribute__((always_inline)) { return load_some_bytes(p + from, bytes - from); };
    const FourBlocks first{at(0), at(kHalfBytes - 64)};
    if (left <= 4) return group<true, 4>(x, g, first, {first.begin, first.begin});
    group<true, 8>(x, g, first, {at(kHalfBytes), at(kGroupBytes - 64)});
  }

  MEDLAR_INLINE F total(int r) const { return sums.total(r); }

 private:
  // kBlocks blocks of group g: 8, or 4 where the others are missing.
  template <bool kOutliers, int kBlocks>
  MEDLAR_INLINE void group(const Rows& x, int64_t g, const FourBlocks& first, const FourBlocks& second) {
    constexpr int kStride = W::kBlockBytes;
    F w = pairs_of_halves<kStride, W::kSecond>(first.begin, second.begin);
    if constexpr (kBlocks == 4) w = first_half(w);
    F factors[kRows];
    for (int r = 0; r < kRows; ++r) {
      factors[r] = w * interleaved<W::kOffsetFactor>(x[r][g].scale);
      F& sum = sums.template at<0>(r);
      sum = add_odd(factors[r], sum);
    }
    four<kOutliers, 0>(x, g, nibbles<kStride, W::kNibbles>(first), w, factors);
    if constexpr (kBlocks == 8) four<kOutliers, 1>(x, g, nibbles<kStride, W::kNibbles>(second), w, factors);
  }

  template <bool kOutliers, int kHalf>
  MEDLAR_INLINE void four(const Rows& x, int64_t g, const Halves& w, F w_pairs, const F (&factors)[kRows]) {
    for (int r = 0; r < kRows; ++r) {
      const Q8Group& group = x[r][g];
      const Halves values = halves_of_four(group.q + 4 * kHalf * kActBlock);
      const I products = dot4<false>(dot4<false>(splat_int(0), w.low, values.low), w.high, values.high);
      F& sum = sums.template at<1 + kHalf>(r);
      sum = fma(to_float(products), spread_even<kHalf>(factors[r]), sum);
      if constexpr (!kOutliers) continue;
      for (int b = 0; b < 4; ++b) {
        const int block = 4 * kHalf + b;
        if ((group.outliers >> block & 1) == 0) continue;
        const int at = group.at[block];
        const I one = one_byte(16 * b + at % 16);
        const F code = to_float(dot4<false>(splat_int(0), at < 16 ? w.low : w.high, one));
        sum = fma(code, spread_even<kHalf>(w_pairs) * splat(group.outlier[block]), sum);
      }
    }
  }
};

}  // namespace medlar::kernels::MEDLAR_ISA

#endif
