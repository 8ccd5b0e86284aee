// Prepared activation rows for products, and the values they stand for.
#pragma once

#include <span>
#include <vector>

#include "tests/kernels/support.h"

namespace medlar::kernels::testing {

// Rows prepared as `kind` by the scalar table, whose own check is check_prepare.
struct Activations {
  Activations(ActKind kind, const std::vector<float>& values, std::int64_t rows, std::int64_t width);

  std::span<const float> row(std::int64_t m) const;  // what the prepared row means

  std::int64_t width;
  Guarded prepared;
  Guarded exact;  // the same values as ActKind::f32, for references
};

// The values of one prepared row.
std::vector<float> meaning(ActKind kind, const std::byte* row, std::int64_t width);

}  // namespace medlar::kernels::testing
