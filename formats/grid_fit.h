// Encoders' search for blocks of 256 whose cells of eight elements are points of a grid: scales, points and
// signs of the least sum of squared errors.
#pragma once

#include "formats/portable.h"

#ifdef MEDLAR_HOST
namespace medlar::formats {

// Eight elements.
struct GridCell {
  u16 points[2];  // places in the grid; the second one's where a point has four elements
  u8 signs;       // of the elements, a bit each
  bool down;      // iq1: moved down, not up
};

struct GridSuperblock {
  u16 d;          // f16, NaN where a value is not finite
  u8 scales[16];  // of groups of 16 or 32
  GridCell cells[32];
};

GridSuperblock fit_iq1_s(const f32* x);
GridSuperblock fit_iq1_m(const f32* x);
GridSuperblock fit_iq2_xxs(const f32* x);
GridSuperblock fit_iq2_xs(const f32* x);
GridSuperblock fit_iq2_s(const f32* x);
GridSuperblock fit_iq3_xxs(const f32* x);
GridSuperblock fit_iq3_s(const f32* x);

}  // namespace medlar::formats
#endif
