// Rows of any format, encoded with the search of quant/fit.h where the format has one.
#pragma once

#include <cstdint>
#include <span>

#include "formats/dtype.h"
#include "quant/fit.h"

namespace medlar::quant {

struct EncodeOptions {
  // How much an error in each column counts: the mean square of what it is multiplied with. Empty: all alike.
  std::span<const float> columns;
  bool thorough = false;
};

// x.size() values, finite, to blocks of `type`; a multiple of its block length, as long as `columns`.
void encode_row(DType type, std::span<const float> x, void* blocks, const EncodeOptions& options);

// Sum over the row of weight * (x - value)^2, with the weights that encode_row() searches by.
double weighted_error(DType type, std::span<const float> x, const void* blocks,
                      std::span<const float> columns);

}  // namespace medlar::quant
