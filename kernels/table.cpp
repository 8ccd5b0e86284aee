// Names of operations, and sizes of prepared rows.
#include "kernels/table.h"

#include <algorithm>

#include "kernels/cpu/activation.h"

namespace medlar::kernels {

std::string_view name(KernelOp op) {
  switch (op) {
    case KernelOp::embed:
      return "embed";
    case KernelOp::gather_rows:
      return "gather_rows";
    case KernelOp::rms_norm:
      return "rms_norm";
    case KernelOp::layer_norm:
      return "layer_norm";
    case KernelOp::binary:
      return "binary";
    case KernelOp::unary:
      return "unary";
    case KernelOp::glu:
      return "glu";
    case KernelOp::temperature:
      return "temperature";
    case KernelOp::concat:
      return "concat";
    case KernelOp::prepare:
      return "prepare";
    case KernelOp::linear:
      return "linear";
    case KernelOp::head_linear:
      return "head_linear";
    case KernelOp::route:
      return "route";
    case KernelOp::expert_glu:
      return "expert_glu";
    case KernelOp::expert_sum:
      return "expert_sum";
    case KernelOp::rope:
      return "rope";
    case KernelOp::kv_write:
      return "kv_write";
    case KernelOp::attend_prepare:
      return "attend_prepare";
    case KernelOp::attention:
      return "attention";
    case KernelOp::attention_merge:
      return "attention_merge";
    case KernelOp::short_conv:
      return "short_conv";
    case KernelOp::scan:
      return "scan";
    case KernelOp::slice:
      return "slice";
    case KernelOp::rows_dot:
      return "rows_dot";
    case KernelOp::unpack_tiles:
      return "unpack_tiles";
    case KernelOp::batch_dot:
      return "batch_dot";
  }
  return "unknown";
}

std::size_t act_bytes(ActKind kind, std::int64_t width) {
  const auto n = static_cast<std::size_t>(width);
  const std::size_t groups = (n + kActGroup - 1) / kActGroup;
  switch (kind) {
    case ActKind::f32:
      return (n * sizeof(float) + 63) / 64 * 64;
    case ActKind::q8:
      return groups * sizeof(Q8Group);
  }
  return 0;
}

std::size_t prepared_bytes(ActKind kind, Batch batch, std::int64_t width, std::int64_t rows) {
  const auto n = static_cast<std::size_t>(rows);
  const std::size_t few = act_bytes(kind, width) * n;
  if (!in_batch(batch, rows)) return few;
  if (batch == Batch::floats) return std::max(few, act_bytes(ActKind::f32, width) * n);
  return std::max(few, static_cast<std::size_t>((rows + 15) / 16 * 16 * width) * 2);
}

}  // namespace medlar::kernels
