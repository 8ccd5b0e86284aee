// Products of a panel of tiles: up to three rows of them by two columns, whose sums take six tile registers
// while the whole depth goes past.
#pragma once

#include "kernels/cpu/tile_unit.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr int kPanelRows = 3, kPanelColumns = 2;  // in tiles

constexpr int64_t tiles(int64_t n) { return (n + kTile - 1) / kTile; }

// Operands and sums of a product. Each operand's tiles along the depth lie one after the other.
struct Panel {
  const std::byte* left;  // row tiles, `left_stride` bytes apart
  int64_t left_stride;
  const std::byte* right;  // column tiles, `right_stride` bytes apart
  int64_t right_stride;
  int64_t depth;  // in tiles
  float* sums;    // [row][column][16][16]
  bool begins;    // or else adds to them
};

// Products of a panel's rows and columns at one depth, in an order that loads each left operand but the last
// once a column.
template <int kRows, int kColumns, int kAt = 0>
MEDLAR_INLINE void multiply_depth(TileUnit& unit, const Panel& p, int64_t offset) {
  constexpr int kColumn = kAt / kRows, kPlace = kAt % kRows;
  constexpr int kRow = kColumn % 2 == 0 ? kPlace : kRows - 1 - kPlace;
  if constexpr (kPlace == 0) unit.load<7>(p.right + kColumn * p.right_stride + offset);
  if constexpr (kPlace != 0 || kColumn == 0) unit.load<6>(p.left + kRow * p.left_stride + offset);
  unit.multiply<kRow * kColumns + kColumn, 6, 7>();
  if constexpr (kAt + 1 < kRows * kColumns) multiply_depth<kRows, kColumns, kAt + 1>(unit, p, offset);
}

template <int kTiles, int kAt = 0>
MEDLAR_INLINE void begin_sums(TileUnit& unit, const Panel& p) {
  if (p.begins) {
    unit.zero<kAt>();
  } else {
    unit.load<kAt>(p.sums + kAt * kTileFloats);
  }
  if constexpr (kAt + 1 < kTiles) begin_sums<kTiles, kAt + 1>(unit, p);
}

template <int kTiles, int kAt = 0>
MEDLAR_INLINE void end_sums(TileUnit& unit, float* to) {
  unit.store<kAt>(to + kAt * kTileFloats);
  if constexpr (kAt + 1 < kTiles) end_sums<kTiles, kAt + 1>(unit, to);
}

template <int kRows, int kColumns>
void multiply_panel(TileUnit& unit, const Panel& p) {
  begin_sums<kRows * kColumns>(unit, p);
  for (int64_t k = 0; k < p.depth; ++k) multiply_depth<kRows, kColumns>(unit, p, k * kTileBytes);
  end_sums<kRows * kColumns>(unit, p.sums);
}

using PanelFn = void (*)(TileUnit&, const Panel&);
inline constexpr PanelFn kPanels[kPanelRows][kPanelColumns] = {
    {multiply_panel<1, 1>, multiply_panel<1, 2>},
    {multiply_panel<2, 1>, multiply_panel<2, 2>},
    {multiply_panel<3, 1>, multiply_panel<3, 2>},
};

// The next panel's rows of `left` row tiles: threes, but four are two and two.
constexpr int64_t panel_rows(int64_t left) { return left == 4 ? 2 : least(left, kPanelRows); }

// Any number of row tiles by one or two column tiles.
inline void multiply_panels(TileUnit& unit, int64_t rows, int64_t columns, Panel p) {
  for (int64_t row = 0; row < rows;) {
    const int64_t count = panel_rows(rows - row);
    kPanels[count - 1][columns - 1](unit, p);
    p.left += count * p.left_stride;
    p.sums += count * columns * kTileFloats;
    row += count;
  }
}

}  // namespace medlar::kernels::MEDLAR_ISA
