// The memory planner: buffers with lifetimes packed into one arena.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace medlar::ir {

// A buffer that is written in step `first` and last read in step `last`, both inclusive.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct ArenaLayout {
  std::vector<std::size_t> offsets;  // one for each lifetime, multiples of kArenaAlignment
  std::size_t bytes = 0;
};

inline constexpr std::size_t kArenaAlignment = 64;

// Buffers whose lifetimes meet do not overlap. Largest first, each at the lowest offset that is free
// (greedy by size; Pisarchyk & Lee 2020). `gap` bytes are kept free behind each buffer, for guard bytes in
// tests.
ArenaLayout pack(std::span<const Lifetime> lifetimes, std::size_t gap = 0);

}  // namespace medlar::ir
