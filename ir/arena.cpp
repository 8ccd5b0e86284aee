#include "ir/arena.h"

#include <algorithm>
#include <numeric>

namespace medlar::ir {

ArenaLayout pack(std::span<const Lifetime> lifetimes, std::size_t gap) {
  const auto padded = [&](std::size_t i) {
    return (lifetimes[i].bytes + gap + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
  };
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return lifetimes[a].bytes > lifetimes[b].bytes; });

  ArenaLayout layout{std::vector<std::size_t>(lifetimes.size()), 0};
  std::vector<std::size_t> placed;  // by offset
  for (std::size_t i : order) {
    std::size_t offset = 0;
    for (std::size_t j : placed) {
      const bool meet = lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
      if (!meet) continue;
      if (offset + padded(i) <= layout.offsets[j]) break;
      offset = std::max(offset, layout.offsets[j] + padded(j));
    }
    layout.offsets[i] = offset;
    layout.bytes = std::max(layout.bytes, offset + padded(i));
    const auto at = std::upper_bound(placed.begin(), placed.end(), i,
                                     [&](auto a, auto b) { return layout.offsets[a] < layout.offsets[b]; });
    placed.insert(at, i);
  }
  return layout;
}

}  // namespace medlar::ir
