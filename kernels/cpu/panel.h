// Weights unpacked for a batch: rows of codes, scales and offsets in cache-resident scratch.
#pragma once

#include "kernels/cpu/simd.h"

namespace medlar::kernels::MEDLAR_ISA {

inline constexpr int64_t kPanelDepth = 512;  // values of a row at a time: whole groups of activations

// One row's stretch: a code each value, a scale and an offset each 32 or 16 values. Room is for kPanelDepth
// values and what a vector store may touch behind them.
struct Unpacked {
  uint8_t* codes;
  float* scale;
  float* offset;
};

// n values (a multiple of 32, at most kPanelDepth) from p on.
using UnpackFn = void (*)(const std::byte* p, int64_t n, const Unpacked& to);
UnpackFn unpack_for(DType type);
// Those of dot_unpacked.
UnpackFn unpack_grid_for(DType type);
void unpack_block(DType type, const std::byte* p, int64_t n, uint8_t* codes, float* scale, float* offset);

// Values that share a scale: 16 or 32.
constexpr int64_t values_per_scale(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::q6_k:
    case DType::iq2_s:
    case DType::iq2_xs:
    case DType::iq1_m:
    case DType::nvfp4:
      return 16;
    default:
      return 32;
  }
}

// Products of a batch: each panel of weight rows is unpacked once for all rows of activations.
void dot_by_panels(DType type, const RowsDot& a);

}  // namespace medlar::kernels::MEDLAR_ISA
