// The search for the point of a grid that costs least, exactly: a point is two halves, and what a half costs
// is known once for all points that share it.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "formats/portable.h"

#ifdef MEDLAR_HOST
namespace medlar::formats {

// Points of kDims coordinates, each one of kLevels codes of kBits bits.
template <u32 kDims_, u32 kLevels_, u32 kBits, u32 kPoints>
class GridIndex {
 public:
  static constexpr u32 kDims = kDims_, kLevels = kLevels_;
  using Costs = std::array<std::array<double, kLevels>, kDims>;  // of a code at a coordinate

  struct Found {
    u16 point;  // its place in the grid
    double cost;
  };

  constexpr explicit GridIndex(std::span<const u16, kPoints> points) {
    for (const u16 point : points) ++begin_[half(point, 0) + 1];
    for (u32 h = 0; h < kHalves; ++h) begin_[h + 1] = static_cast<u16>(begin_[h + 1] + begin_[h]);
    std::array<u16, kHalves> used{};
    for (u32 i = 0; i < kPoints; ++i) {
      const u32 h = half(points[i], 0);
      entries_[begin_[h] + used[h]++] = {static_cast<u16>(i), static_cast<u16>(half(points[i], kDims / 2))};
    }
  }

  // The first in the order of halves among those that cost least.
  Found nearest(const Costs& costs) const {
    const Halves first = half_costs(costs, 0), second = half_costs(costs, kDims / 2);
    const double least_second = std::ranges::min(second);
    Found best{0, std::numeric_limits<double>::infinity()};
    const auto search = [&](std::size_t h) {
      for (u32 e = begin_[h]; e < begin_[h + 1]; ++e) {
        const double cost = first[h] + second[entries_[e].second];
        if (cost < best.cost) best = {entries_[e].point, cost};
      }
    };
    // The cheapest half at first, so that most others are passed over.
    search(static_cast<std::size_t>(std::ranges::min_element(first) - first.begin()));
    for (std::size_t h = 0; h < kHalves; ++h)
      if (first[h] + least_second < best.cost) search(h);
    return best;
  }

 private:
  static constexpr u32 power(u32 base, u32 exponent) {
    return exponent == 0 ? 1 : base * power(base, exponent - 1);
  }
  static constexpr u32 kHalves = power(kLevels, kDims / 2);
  using Halves = std::array<double, kHalves>;

  struct Entry {
    u16 point, second;  // second: the half behind the one that it is listed under
  };

  // The number of a half, in base kLevels: the codes of kDims / 2 coordinates from `from` on.
  static constexpr u32 half(u32 point, u32 from) {
    u32 number = 0;
    for (u32 i = kDims / 2; i-- > 0;)
      number = number * kLevels + (point >> (from + i) * kBits & ((1U << kBits) - 1));
    return number;
  }

  static Halves half_costs(const Costs& costs, u32 from) {
    Halves sums{};
    u32 n = 1;
    for (u32 i = from; i < from + kDims / 2; ++i, n *= kLevels)
      for (u32 level = kLevels; level-- > 0;)
        for (u32 h = 0; h < n; ++h) sums[level * n + h] = sums[h] + costs[i][level];
    return sums;
  }

  std::array<u16, kHalves + 1> begin_{};
  std::array<Entry, kPoints> entries_{};
};

}  // namespace medlar::formats
#endif
