#include "kernels/gpu/emulator/fragments.h"

namespace medlar::emulator {
namespace {

using Place = void (*)(unsigned element, unsigned lane, unsigned& row, unsigned& column);

constexpr FragmentMap make_map(Place place) {
  FragmentMap map{};
  for (unsigned lane = 0; lane < kSimdWidth; ++lane)
    for (unsigned e = 0; e < 8; ++e) {
      unsigned row = 0, column = 0;
      place(e, lane, row, column);
      map.row[lane][e] = static_cast<std::uint8_t>(row);
      map.column[lane][e] = static_cast<std::uint8_t>(column);
    }
  return map;
}

// Two by two 8x8 matrices with two neighbouring columns a lane, as MLX's steel kernels address them.
constexpr FragmentMap kMetal = make_map([](unsigned e, unsigned lane, unsigned& row, unsigned& column) {
  const unsigned quad = lane / 4;
  row = (e / 4) * 8 + (quad & 4) + (lane / 2) % 4;
  column = (e / 2) % 2 * 8 + (quad & 2) * 2 + (lane & 1) * 2 + (e & 1);
});

// The accumulators of two mma.m16n8k16 (PTX ISA, "Matrix fragments for mma.m16n8k16").
constexpr FragmentMap kCuda = make_map([](unsigned e, unsigned lane, unsigned& row, unsigned& column) {
  row = (e / 2) % 2 * 8 + lane / 4;
  column = (e / 4) * 8 + lane % 4 * 2 + (e & 1);
});

// Any bijection of 256 elements: 77 is odd.
constexpr FragmentMap kScrambled = make_map([](unsigned e, unsigned lane, unsigned& row, unsigned& column) {
  const unsigned at = (e * kSimdWidth + lane) * 77 % 256;
  row = at / 16;
  column = at % 16;
});

}  // namespace

const FragmentMap& fragment_map(FragmentLayout layout) {
  switch (layout) {
    case FragmentLayout::metal:
      return kMetal;
    case FragmentLayout::cuda:
      return kCuda;
    case FragmentLayout::scrambled:
      break;
  }
  return kScrambled;
}

}  // namespace medlar::emulator
