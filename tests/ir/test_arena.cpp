// The arena packer: buffers alive together never overlap, and the arena is not much larger than it must be.
#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "ir/arena.h"

namespace medlar::ir {
namespace {

bool meet(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// The most bytes alive in any one step: no layout can be smaller.
std::size_t lower_bound(std::span<const Lifetime> lifetimes, int steps) {
  std::size_t most = 0;
  for (int s = 0; s < steps; ++s) {
    std::size_t bytes = 0;
    for (const Lifetime& l : lifetimes)
      if (l.first <= s && s <= l.last) bytes += l.bytes;
    most = std::max(most, bytes);
  }
  return most;
}

TEST(Arena, NeverOverlapsWhatLivesTogether) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const std::size_t gap = round % 2 ? 64 : 0;
    std::vector<Lifetime> lifetimes(1 + random() % 40);
    for (Lifetime& l : lifetimes) {
      l.bytes = random() % 5000;
      l.first = static_cast<int>(random() % 50);
      l.last = l.first + static_cast<int>(random() % 10);
    }
    const ArenaLayout layout = pack(lifetimes, gap);
    for (std::size_t i = 0; i < lifetimes.size(); ++i) {
      EXPECT_EQ(layout.offsets[i] % kArenaAlignment, 0U);
      EXPECT_LE(layout.offsets[i] + lifetimes[i].bytes + gap, layout.bytes);
      for (std::size_t j = 0; j < i; ++j) {
        if (!meet(lifetimes[i], lifetimes[j])) continue;
        const bool apart = layout.offsets[i] + lifetimes[i].bytes + gap <= layout.offsets[j] ||
                           layout.offsets[j] + lifetimes[j].bytes + gap <= layout.offsets[i];
        EXPECT_TRUE(apart) << "round " << round << ", buffers " << i << " and " << j;
      }
    }
  }
}

TEST(Arena, ReusesSpaceAlongAChain) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 100; ++i) chain.push_back({.bytes = 4096, .first = i, .last = i + 1});
  EXPECT_EQ(pack(chain).bytes, lower_bound(chain, 102));
}

TEST(Arena, EmptyIsEmpty) { EXPECT_EQ(pack({}).bytes, 0U); }

}  // namespace
}  // namespace medlar::ir
