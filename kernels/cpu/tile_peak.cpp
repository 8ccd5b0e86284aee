// The product loop of the matrix unit, on tiles that are already in its registers.
#include "kernels/cpu/peak.h"
#include "kernels/cpu/tile_unit.h"

namespace medlar::kernels::MEDLAR_ISA {

namespace {

void bf16_products(int64_t rounds) {
  TileUnit unit;
  alignas(64) float tile[kTileFloats] = {};
  unit.load<4>(tile);
  unit.load<5>(tile);
  unit.load<6>(tile);
  unit.load<7>(tile);
  unit.zero<0>();
  unit.zero<1>();
  unit.zero<2>();
  unit.zero<3>();
  for (int64_t i = 0; i < rounds; ++i) {
    unit.multiply<0, 4, 6>();
    unit.multiply<1, 4, 7>();
    unit.multiply<2, 5, 6>();
    unit.multiply<3, 5, 7>();
  }
  unit.store<0>(tile);
}

}  // namespace

PeakLoops peak_loops() {
  return {.quantized = {bf16_products, 4 * 2 * kTile * kTile * kTileDepth}, .f32 = {}};
}

}  // namespace medlar::kernels::MEDLAR_ISA
