#include "runtime/gpu/lower_best.h"

#include "kernels/gpu/params.h"

namespace medlar::runtime::gpu {

using medlar::gpu::kBest;
using medlar::gpu::kBestPart;

Region emit_best(StepBuilder& b, ir::Value logits) {
  const std::int64_t rows = b.max_rows(b.type(logits).rows);
  std::int64_t n = b.type(logits).width();
  Region from = b.value(logits);
  for (std::uint32_t merge = 0;; merge = 1) {
    const std::uint32_t parts = ceil_div(n, kBestPart);
    const Region to =
        b.temporary(static_cast<std::size_t>(rows * parts) * kBest * sizeof(medlar::gpu::TokenLogit));
    b.emit("best_logits", medlar::gpu::BestParams{u32_of(n), merge}, {kCounts, from, from}, {to},
           {parts, u32_of(rows)});
    if (parts == 1) return to;
    from = to, n = static_cast<std::int64_t>(parts) * kBest;
  }
}

}  // namespace medlar::runtime::gpu
