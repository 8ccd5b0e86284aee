#include "tests/kernels/activations.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/activation.h"

namespace medlar::kernels::testing {

namespace {

std::int64_t row_size(ActKind kind, std::int64_t width) {
  return static_cast<std::int64_t>(act_bytes(kind, width));
}

}  // namespace

std::vector<float> meaning(ActKind kind, const std::byte* row, std::int64_t width) {
  std::vector<float> values(static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t group = i / kActGroup, at = i % kActGroup;
    switch (kind) {
      case ActKind::f32:
        std::memcpy(&values[i], row + i * sizeof(float), sizeof(float));
        break;
      case ActKind::q8: {
        const auto& g = reinterpret_cast<const Q8Group*>(row)[group];
        const std::size_t block = at / kActBlock;
        values[i] = g.scale[block] * static_cast<float>(g.q[at]);
        if ((g.outliers >> block & 1) != 0 && g.at[block] == at % kActBlock) values[i] += g.outlier[block];
        break;
      }
    }
  }
  return values;
}

Activations::Activations(ActKind kind, const std::vector<float>& values, std::int64_t rows, std::int64_t w)
    : width(w), prepared(rows * row_size(kind, w), 64), exact(rows * row_size(ActKind::f32, w), 64) {
  const SimpleStep simple(rows);
  PrepareArgs args{.x = values.data(),
                   .norm = false,
                   .norm_weight = nullptr,
                   .eps = 0,
                   .rows = RowCount::tokens,
                   .width = width,
                   .kind = kind,
                   .batch = Batch::none,
                   .packed = false,
                   .y = prepared.data()};
  run(entry_for(Isa::scalar, KernelOp::prepare), &args, simple.step, 1);
  for (std::int64_t m = 0; m < rows; ++m) {
    const std::vector<float> row = meaning(kind, prepared.data() + m * row_size(kind, width), width);
    std::memcpy(exact.data() + m * row_size(ActKind::f32, width), row.data(), row.size() * sizeof(float));
  }
}

std::span<const float> Activations::row(std::int64_t m) const {
  return {reinterpret_cast<const float*>(exact.data() + m * row_size(ActKind::f32, width)),
          static_cast<std::size_t>(width)};
}

}  // namespace medlar::kernels::testing
