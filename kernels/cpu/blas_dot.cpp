// Products of batches by the system's BLAS: a strip of weight rows, a stretch of their depth at a time, is
// unpacked to f32 in scratch and serves every activation row. This never holds a copy of a matrix, as one
// call for the whole of it would need. MEDLAR_VECTORS is the instruction set that unpacks.
#include <algorithm>

#include "kernels/cpu/blas.h"
#include "kernels/cpu/decode.h"
#include "kernels/cpu/isas.h"
#include "kernels/table.h"

namespace medlar::kernels {

namespace MEDLAR_VECTORS {
void row_values(DType type, const std::byte* from, std::int64_t n, float* to);
void dot_f32(DType type, const RowsDot& a);
}  // namespace MEDLAR_VECTORS

namespace accelerate {

namespace {

constexpr std::int64_t kStrip =
    512;  // weight rows: what an activation costs the library to rearrange, they share
constexpr std::int64_t kBlock = 256;  // values: whole blocks of any type

// Values along the depth that fit into the scratch with a strip of `strip` rows.
std::int64_t stretch(const RowsDot& a, std::int64_t strip) {
  return static_cast<std::int64_t>(a.scratch.size() / sizeof(float)) / strip / kBlock * kBlock;
}

template <DType kType>
void batch_dot(const RowsDot& a) {
  const std::int64_t strip = std::min(kStrip, a.n);
  const std::int64_t depth = std::min(stretch(a, strip), a.k);
  if (depth == 0) return MEDLAR_VECTORS::dot_f32(kType, a);
  auto* weights = reinterpret_cast<float*>(a.scratch.data());
  const auto x_stride = static_cast<std::int64_t>(act_bytes(ActKind::f32, a.k) / sizeof(float));
  for (std::int64_t j = 0; j < a.n; j += strip) {
    const std::int64_t n = std::min(strip, a.n - j);
    for (std::int64_t i = 0; i < a.k; i += depth) {
      const std::int64_t k = std::min(depth, a.k - i);
      const std::byte* from = a.weight + j * a.row_bytes + stored_bytes(kType, i);
      for (std::int64_t row = 0; row < n; ++row)
        MEDLAR_VECTORS::row_values(kType, from + row * a.row_bytes, k, weights + row * k);
      sgemm({.x = reinterpret_cast<const float*>(a.x) + i,
             .ldx = x_stride,
             .w = weights,
             .rows = a.rows,
             .n = n,
             .k = k,
             .y = a.y + j,
             .ldy = a.ldy,
             .accumulate = i > 0});
    }
  }
}

template <DType kType>
constexpr KernelEntry leaf(const char* name) {
  return {KernelOp::batch_dot, kType, ActKind::f32, Isa::accelerate, name, nullptr, batch_dot<kType>};
}

#define MEDLAR_LEAF(t) leaf<DType::t>("accelerate.batch_dot." #t)

constexpr KernelEntry kEntries[] = {
    MEDLAR_LEAF(f32),     MEDLAR_LEAF(f16),   MEDLAR_LEAF(bf16),    MEDLAR_LEAF(q4_0),   MEDLAR_LEAF(q4_1),
    MEDLAR_LEAF(q5_0),    MEDLAR_LEAF(q5_1),  MEDLAR_LEAF(q8_0),    MEDLAR_LEAF(q2_k),   MEDLAR_LEAF(q3_k),
    MEDLAR_LEAF(q4_k),    MEDLAR_LEAF(q5_k),  MEDLAR_LEAF(q6_k),    MEDLAR_LEAF(iq4_nl), MEDLAR_LEAF(iq4_xs),
    MEDLAR_LEAF(mxfp4),   MEDLAR_LEAF(iq3_s), MEDLAR_LEAF(iq3_xxs), MEDLAR_LEAF(iq2_s),  MEDLAR_LEAF(iq2_xs),
    MEDLAR_LEAF(iq2_xxs), MEDLAR_LEAF(iq1_m), MEDLAR_LEAF(iq1_s),   MEDLAR_LEAF(tq2_0),  MEDLAR_LEAF(tq1_0),
    MEDLAR_LEAF(nvfp4),
};

}  // namespace

std::span<const KernelEntry> entries() { return kEntries; }

}  // namespace accelerate

}  // namespace medlar::kernels
