// Random choices of the mutators: the same ones for one seed.
#pragma once

#include <cstdint>
#include <iterator>
#include <random>

namespace medlar::fuzz {

using Random = std::minstd_rand;

inline std::uint64_t below(Random& random, std::uint64_t n) {
  const std::uint64_t wide = (std::uint64_t{random()} << 31) ^ random();
  return n > 0 ? wide % n : wide;
}
inline bool chance(Random& random, std::uint64_t one_in) { return below(random, one_in) == 0; }
template <class List>
const auto& any(Random& random, const List& list) {
  return list[below(random, std::size(list))];
}

}  // namespace medlar::fuzz
