// The distance of prefetches, for products and for measuring what memory gives.
#pragma once

#include <cstdint>

namespace medlar::kernels {

// How far ahead in a row's bytes to prefetch: far enough to hide memory's latency at full bandwidth, near
// enough to still be in the first cache when it is used.
inline constexpr std::int64_t kPrefetchBytes = 6144;

}  // namespace medlar::kernels
