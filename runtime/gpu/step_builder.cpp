#include "runtime/gpu/step_builder.h"

#include <algorithm>

#include "base/error.h"

namespace medlar::runtime::gpu {

using ir::RowCount;
using ir::Value;
using namespace medlar::gpu;  // NOLINT: this file is about their parameters

StepBuilder::StepBuilder(const ir::Graph& graph, const ProgramOptions& options,
                         const std::vector<int>& storage, const StepShape& shape, StepPlan& plan)
    : shape_(shape), graph_(graph), options_(options), storage_(storage), plan_(plan) {
  plan_.activation_bytes.assign(g().nodes().size(), 0);
}

std::int64_t StepBuilder::max_rows(RowCount rows) const {
  return rows == RowCount::tokens ? shape_.tokens : rows == RowCount::logit_rows ? shape_.logit_rows : 1;
}

Region StepBuilder::value(Value v) {
  const int id = storage(v);
  const std::size_t bytes =
      static_cast<std::size_t>(max_rows(type(v).rows) * type(v).width()) * sizeof(float);
  std::size_t& size = plan_.activation_bytes[static_cast<std::size_t>(id)];
  size = std::max(size, bytes);
  return {RegionKind::activation, id};
}

Region StepBuilder::temporary(std::size_t bytes) {
  plan_.activation_bytes.push_back(bytes);
  return {RegionKind::activation, static_cast<int>(plan_.activation_bytes.size()) - 1};
}

Region StepBuilder::constant(Value v) const {
  if (const auto* w = g().get_if<ir::Weight>(v)) return {RegionKind::weight, w->index};
  return {RegionKind::table, op<ir::Table>(v).index};
}

const KernelInfo& StepBuilder::named(std::string_view kernel) {
  const KernelInfo* found = medlar::gpu::find_kernel(kernel);
  if (!found) fail(ErrorKind::unsupported, "there is no GPU kernel {}", kernel);
  return *found;
}

PrepareParams StepBuilder::plain_rows(RowCount rows, std::int64_t dim, std::int64_t per_row) const {
  return {.rows = rows_of(rows),
          .dim = u32_of(dim),
          .norm = 0,
          .has_weight = 0,
          .eps = 0,
          .per_row = u32_of(per_row),
          .layout = medlar::gpu::kLayoutRows,
          .row_blocks = 0};
}

Input StepBuilder::prepare(const PrepareParams& p, Region from, Region weight) {
  const std::int64_t vectors = max_rows(static_cast<RowCount>(p.rows)) * p.per_row;
  const auto [rows, unit] = [&]() -> std::pair<std::int64_t, std::int64_t> {
    switch (p.layout) {
      case medlar::gpu::kLayoutTiles:
        return {ceil_div(vectors, medlar::gpu::kSwizzledRows) * std::int64_t{medlar::gpu::kSwizzledRows},
                medlar::gpu::kSwizzledColumns};
      case medlar::gpu::kLayoutLanes:
        return {std::int64_t{p.row_blocks} * 8, medlar::gpu::kLaneColumns};
      default:
        return {vectors, 8};
    }
  }();
  const std::int64_t values = rows * ceil_div(p.dim, unit) * unit;
  const Region x = temporary(static_cast<std::size_t>(values) * sizeof(std::uint16_t));
  const Region scales = temporary(static_cast<std::size_t>(vectors) * sizeof(float));
  emit("prepare", p, {kCounts, from, weight}, {x, scales}, {u32_of(vectors)});
  return {{x, scales}};
}

bool StepBuilder::starts_aligned(Value weight) const {
  constexpr std::uintptr_t kAlignment = 16;
  const auto index = static_cast<std::size_t>(op<ir::Weight>(weight).index);
  return reinterpret_cast<std::uintptr_t>(g().weights()[index].tensor.bytes.data()) % kAlignment == 0;
}

bool StepBuilder::lanes_can_load(Value weight) const {
  constexpr std::int64_t kDenseUnit = 8;
  const ir::ValueType& t = type(weight);
  return starts_aligned(weight) &&
         (format_info(t.dtype).block_length > 1 || t.shape.back() % kDenseUnit == 0);
}

void StepBuilder::norm(Value norm, Value residual, Region y) {
  const ir::ValueType& t = type(norm);
  const Region x = value(in(norm, 0)), weight = constant(in(norm, 1));
  const std::int64_t per_row = t.shape.rows();
  emit("rms_norm",
       NormParams{rows_of(t.rows), u32_of(per_row), u32_of(t.shape.back()), op<ir::RmsNorm>(norm).eps, 1,
                  residual ? 1U : 0U},
       {kCounts, x, weight, residual ? value(residual) : x}, {y}, {u32_of(max_rows(t.rows) * per_row)});
}

Region StepBuilder::normed(const ir::LinearGroup& group) {
  if (!group.norm) return value(group.input);
  const Region y = value(group.norm);
  norm(group.norm, {}, y);
  return y;
}

void StepBuilder::glu(Value v, Region gate, Region up) {
  emit("glu",
       GluParams{rows_of(type(v).rows), u32_of(type(v).width()),
                 static_cast<std::uint32_t>(op<ir::Glu>(v).activation)},
       {kCounts, gate, up}, {value(v)}, elementwise_grid(v));
}

}  // namespace medlar::runtime::gpu
