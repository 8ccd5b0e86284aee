// The f16 factor of a block, wherever its format has it.
#pragma once

#include <cstdint>

#include "formats/all.h"

namespace medlar::kernels::testing {

template <class Block>
  requires requires(Block b) { b.d; }
void set_factor(Block& b, std::uint16_t bits) {
  b.d = bits;
}

inline void set_factor(formats::BlockIq1_M& b, std::uint16_t bits) {
  for (unsigned j = 0; j < 4; ++j)
    b.scales[j] = static_cast<std::uint16_t>((b.scales[j] & 0x0FFFU) | (bits >> 4 * j & 15U) << 12);
}

}  // namespace medlar::kernels::testing
