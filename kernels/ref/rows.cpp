// Rows by index: the embedding table's, and the rows whose logits are wanted.
#include <algorithm>
#include <cstring>

#include "formats/all.h"
#include "kernels/ref/ref_ops.h"

namespace medlar::kernels::ref {

void embed(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const EmbedArgs*>(args);
  if (slice.index != 0) return;
  const auto row_bytes = static_cast<std::int64_t>(formats::row_bytes(a.type, a.dim));
  for (std::int64_t t = 0; t < step.tokens; ++t) {
    const std::int64_t r = a.by == EmbedBy::token
                               ? step.token_ids[t]
                               : std::min(std::int64_t{step.positions[t]}, a.table_rows - 1);
    const std::byte* row = static_cast<const std::byte*>(a.table) + r * row_bytes;
    float* y = a.y + t * a.dim;
    formats::decode_row(a.type, row, y, a.dim);
    for (std::int64_t i = 0; i < a.dim; ++i) y[i] *= a.scale;
  }
}

void gather_rows(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const GatherRowsArgs*>(args);
  if (slice.index != 0) return;
  for (std::int64_t r = 0; r < step.logit_rows; ++r) {
    std::memcpy(a.y + r * a.dim, a.x + step.rows[r] * a.dim, static_cast<std::size_t>(a.dim) * sizeof(float));
  }
}

}  // namespace medlar::kernels::ref
