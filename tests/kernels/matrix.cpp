#include "tests/kernels/matrix.h"

#include "formats/all.h"
#include "kernels/ref/ref.h"

namespace medlar::kernels::testing {

Matrix::Matrix(const Way& way, std::int64_t n, const Activations& x, std::int64_t rows, Rng& rng)
    : weights(random_weights(way.leaf.type, n, x.width, rng)),
      bias(rng.normals(n)),
      residual(rng.normals(n * rows)),
      product(residual.size()),
      bound(residual.size()) {
  Leaf leaf = way.leaf;
  if (in_batch(way.batch, rows)) leaf.act = ActKind::f32, leaf.isa = Isa::accelerate;
  const std::int64_t k = x.width, bytes = row_bytes(leaf.type, k);
  ref_entry(KernelOp::rows_dot, leaf.type)
      .rows_dot({.weight = weights.data(),
                 .row_bytes = bytes,
                 .n = n,
                 .k = k,
                 .x = x.exact.data(),
                 .rows = rows,
                 .y = product.data(),
                 .ldy = n,
                 .scratch = {}});
  std::vector<float> w(static_cast<std::size_t>(k));
  for (std::int64_t j = 0; j < n; ++j) {
    const std::byte* row = weights.data() + j * bytes;
    decode_row(leaf.type, row, w.data(), k);
    for (std::int64_t m = 0; m < rows; ++m)
      bound[static_cast<std::size_t>(m * n + j)] = way.batch == Batch::tiles
                                                       ? tile_bound(leaf.type, row, w, x.row(m))
                                                       : dot_bound(leaf, row, w, x.row(m));
  }
}

}  // namespace medlar::kernels::testing
