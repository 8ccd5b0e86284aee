// Activations as f16 for products in registers (linear_rows.h): of 32 columns and eight rows, unit lane of 16
// bytes has the eight columns that this lane of the 32 multiplies; then come the next eight rows, then the
// next 32 columns.
#pragma once

#include "kernels/gpu/common.h"

FN u64 lane_unit(u32 k, u32 eight_rows, u32 row_blocks, u32 lane) {
  return ((u64)(k / 32) * row_blocks + eight_rows) * 32 + lane;
}

// That of eight columns from k on.
FN u64 lane_unit_of(u32 row, u32 k, u32 row_blocks) {
  return lane_unit(k, row / 8, row_blocks, row % 8 * 4 + k % 32 / 8);
}
