// Rows by index. Memory-bound and the same on every instruction set, so only the scalar table has them.
#include <cstring>

#include "kernels/cpu/decode.h"
#include "kernels/cpu/ops.h"

namespace medlar::kernels::scalar {

void embed(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const EmbedArgs*>(args);
  const int64_t row_bytes = stored_bytes(a.type, a.dim);
  const Range mine = share(step.tokens, 1, slice);
  for (int64_t t = mine.begin; t < mine.end; ++t) {
    float* y = a.y + t * a.dim;
    const int64_t row =
        a.by == EmbedBy::token ? step.token_ids[t] : least(step.positions[t], a.table_rows - 1);
    decode_values(a.type, static_cast<const std::byte*>(a.table) + row * row_bytes, y, a.dim);
    for (int64_t i = 0; i < a.dim; ++i) y[i] *= a.scale;
  }
}

void gather_rows(const void* args, const Step& step, const Slice& slice) {
  const auto& a = *static_cast<const GatherRowsArgs*>(args);
  const Range mine = share(step.logit_rows, 1, slice);
  for (int64_t r = mine.begin; r < mine.end; ++r) {
    std::memcpy(a.y + r * a.dim, a.x + step.rows[r] * a.dim, static_cast<std::size_t>(a.dim) * sizeof(float));
  }
}

}  // namespace medlar::kernels::scalar
