// What lowering each part of a graph needs: the memory of values, and dispatches put into the plan of a step.
#pragma once

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "formats/all.h"
#include "ir/fuse.h"
#include "ir/graph.h"
#include "kernels/gpu/params.h"
#include "runtime/gpu/lower.h"
#include "runtime/gpu/step_buffer.h"

namespace medlar::runtime::gpu {

constexpr int kVecRows = 8;               // more rows than this go through tiles
constexpr std::int64_t kVecOutputs = 16;  // outputs of a threadgroup of linear_vec
constexpr std::int64_t kTileSide = 64;    // of linear_tile
constexpr std::int64_t kElementwiseWidth = 256;

inline std::uint32_t u32_of(std::int64_t v) {
  return checked_cast<std::uint32_t>(v, "an extent of the model");
}
inline std::uint32_t ceil_div(std::int64_t a, std::int64_t b) { return u32_of((a + b - 1) / b); }
inline std::string_view format_name(DType type) { return format_info(type).name; }

constexpr Region step(StepField field, int group = 0) {
  return {RegionKind::step, static_cast<int>(field) + group};
}
inline constexpr Region kCounts = step(StepField::counts);

// What products read: f32 rows, or f16 rows with their scales.
struct Input {
  std::vector<Region> regions;
};

class StepBuilder {
 public:
  // `storage`: the value whose memory each value has. All but the shape must outlive it.
  StepBuilder(const ir::Graph& graph, const ProgramOptions& options, const std::vector<int>& storage,
              const StepShape& shape, StepPlan& plan);

  const ir::Graph& g() const { return graph_; }
  const ir::ValueType& type(ir::Value v) const { return g()[v].type; }
  template <class Op>
  const Op& op(ir::Value v) const {
    return std::get<Op>(g()[v].op);
  }
  ir::Value in(ir::Value v, std::size_t i) const { return g()[v].inputs[i]; }
  bool has_input(ir::Value v, std::size_t i) const { return g()[v].inputs.size() > i; }

  std::int64_t max_rows(ir::RowCount rows) const;
  std::uint32_t rows_of(ir::RowCount rows) const { return static_cast<std::uint32_t>(rows); }
  const StepShape& shape() const { return shape_; }
  bool batch_invariant() const { return options_.batch_invariant; }
  // No matrix unit: it takes f16, and small steps do not use it.
  bool only_vec() const { return options_.exact || options_.batch_invariant; }

  int storage(ir::Value v) const { return storage_[static_cast<std::size_t>(v.id)]; }
  // The memory of a value.
  Region value(ir::Value v);
  Region temporary(std::size_t bytes);
  // A weight's or a table's bytes.
  Region constant(ir::Value v) const;

  // Whether lanes can load the rows of a weight 16 bytes at a time, or, of blocks, by words: files align to
  // 32, unless they say otherwise.
  bool starts_aligned(ir::Value weight) const;
  bool lanes_can_load(ir::Value weight) const;

  // Throws Error(unsupported) where there is no such kernel.
  template <class Params>
  void emit(std::string_view kernel, const Params& params, std::vector<Region> reads,
            std::vector<Region> writes, Extent grid) {
    std::vector<std::byte> bytes(sizeof params);
    std::memcpy(bytes.data(), &params, sizeof params);
    add({&named(kernel), std::move(bytes), std::move(reads), std::move(writes), grid});
  }

  medlar::gpu::PrepareParams plain_rows(ir::RowCount rows, std::int64_t dim, std::int64_t per_row) const;
  // f32 rows made ready for tiles; `weight` is the norm's, where there is one.
  Input prepare(const medlar::gpu::PrepareParams& p, Region from, Region weight);

  // `residual`: added to the normalised rows, or none.
  void norm(ir::Value norm, ir::Value residual, Region y);
  // The group's input as f32 rows, normalised where it wants that.
  Region normed(const ir::LinearGroup& group);
  void glu(ir::Value v, Region gate, Region up);
  Extent elementwise_grid(ir::Value v) const {
    return {ceil_div(type(v).width(), kElementwiseWidth), u32_of(max_rows(type(v).rows))};
  }

 protected:
  const StepShape shape_;

 private:
  static const KernelInfo& named(std::string_view kernel);
  void add(PlannedDispatch dispatch) { plan_.dispatches.push_back(std::move(dispatch)); }

  const ir::Graph& graph_;
  const ProgramOptions& options_;
  const std::vector<int>& storage_;
  StepPlan& plan_;
};

}  // namespace medlar::runtime::gpu
