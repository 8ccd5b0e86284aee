#include "runtime/gpu/lower_experts.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "base/error.h"

namespace medlar::runtime::gpu {

using namespace medlar::gpu;  // NOLINT: this file is about their parameters
using ir::Value;

namespace {

constexpr std::int64_t kSumWidth = 128;  // of expert_sum

std::size_t floats(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }

// The pairs of a row and one of its experts, as expert_pairs orders them.
struct Pairs {
  std::int64_t count, blocks;  // at most
  std::int64_t block_rows;
  bool tiles;
  Region block, row, place;  // blocks; the row of each pair; the pair of each row and expert
};

Pairs emit_pairs(StepBuilder& b, Value v) {
  const ir::RowCount rows = b.type(v).rows;
  const std::int64_t m = b.max_rows(rows), experts = b.type(b.in(v, 1)).width();
  Pairs p{.count = m * b.op<ir::Experts>(v).used};
  // Tiles pay where experts have many rows each.
  p.tiles = p.count > kVecRows * experts && !b.only_vec();
  p.block_rows = p.tiles ? kTileSide : m == 1 ? 1 : kVecRows;
  // Most where as many experts as can be are used, and all but one have whole blocks and one pair more.
  const std::int64_t used = std::min(experts, p.count);
  p.blocks = used + (p.count - used) / p.block_rows;
  p.block = b.temporary(static_cast<std::size_t>(p.blocks) * sizeof(ExpertBlock));
  p.row = b.temporary(static_cast<std::size_t>(p.count) * sizeof(std::int32_t));
  p.place = b.temporary(static_cast<std::size_t>(m * experts) * sizeof(std::int32_t));
  b.emit("expert_pairs",
         ExpertPairsParams{b.rows_of(rows), u32_of(experts), u32_of(p.block_rows), u32_of(p.blocks)},
         {kCounts, b.value(b.in(v, 1))}, {p.block, p.row, p.place}, {});
  return p;
}

// Which of the experts' inputs are matrices, whose bias is three inputs behind them.
struct Matrices {
  Value experts;
  std::size_t input;
};

// The products of all pairs with their experts' matrices. `gather`: x has the step's rows.
Region emit_linear(StepBuilder& b, const Matrices& m, const Pairs& pairs, const Input& x, bool gather) {
  const Value weight = b.in(m.experts, m.input);
  const bool has_bias = b.has_input(m.experts, m.input + 3);
  const Shape& shape = b.type(weight).shape;  // (experts, n, k)
  const DType dtype = b.type(weight).dtype;
  const Region y = b.temporary(floats(pairs.count * shape[1]));
  const ExpertLinearParams p{.linear = {.rows = 0,
                                        .n = u32_of(shape[1]),
                                        .k = u32_of(shape[2]),
                                        .row_bytes = u32_of(row_bytes(dtype, shape[2])),
                                        .has_bias = has_bias,
                                        .has_residual = 0},
                             .gather = gather};
  std::vector<Region> reads = {pairs.block, pairs.row};
  reads.insert(reads.end(), x.regions.begin(), x.regions.end());
  reads.push_back(b.constant(weight));
  reads.push_back(has_bias ? b.constant(b.in(m.experts, m.input + 3)) : b.constant(weight));
  const std::string kernel = pairs.tiles
                                 ? fmt::format("expert_tile_{}", format_name(dtype))
                                 : fmt::format("expert_vec_{}_{}", format_name(dtype), pairs.block_rows);
  b.emit(kernel, p, std::move(reads), {y},
         {ceil_div(shape[1], pairs.tiles ? kTileSide : kVecOutputs), u32_of(pairs.blocks)});
  return y;
}

}  // namespace

void emit_route(StepBuilder& b, Value v) {
  const ir::ValueType& t = b.type(v);
  if (t.width() > kMaxExperts)
    fail(ErrorKind::unsupported, "{} experts are more than the {} that GPU kernels choose from", t.width(),
         static_cast<int>(kMaxExperts));
  const ir::Route& o = b.op<ir::Route>(v);
  if (o.groups > kMaxRouteGroups)
    fail(ErrorKind::unsupported, "{} groups of experts are more than the {} that GPU kernels choose from",
         o.groups, static_cast<int>(kMaxRouteGroups));
  const bool has_bias = b.has_input(v, 1);
  const Region logits = b.value(b.in(v, 0));
  b.emit("route",
         RouteParams{.rows = b.rows_of(t.rows),
                     .experts = u32_of(t.width()),
                     .used = u32_of(o.used),
                     .normalize = o.normalize,
                     .score = static_cast<std::uint32_t>(o.score),
                     .has_bias = has_bias,
                     .groups = u32_of(o.groups),
                     .groups_used = u32_of(o.groups_used),
                     .group_best = u32_of(o.group_best),
                     .scale = o.scale},
         {kCounts, logits, has_bias ? b.constant(b.in(v, 1)) : logits}, {b.value(v)},
         {u32_of(b.max_rows(t.rows))});
}

void emit_experts(StepBuilder& b, Value v, Value residual, Value result) {
  const ir::Experts& o = b.op<ir::Experts>(v);
  const ir::ValueType& t = b.type(v);
  const Value gate = b.in(v, 2);
  const std::int64_t experts = b.type(gate).shape[0], ffn = b.type(gate).shape[1];
  const Pairs pairs = emit_pairs(b, v);
  const auto input = [&](Region x, std::int64_t dim, std::int64_t per_row) {
    return pairs.tiles ? b.prepare(b.plain_rows(t.rows, dim, per_row), x, x) : Input{{x}};
  };
  const Input x = input(b.value(b.in(v, 0)), t.width(), 1);
  const Region gates = emit_linear(b, {v, 2}, pairs, x, true), ups = emit_linear(b, {v, 3}, pairs, x, true);
  const Region hidden = b.temporary(floats(pairs.count * ffn));
  const std::uint32_t width = u32_of(o.used * ffn);  // all pairs of a row: glu does not ask whose they are
  const std::uint32_t rows = u32_of(b.max_rows(t.rows));
  b.emit("glu", GluParams{b.rows_of(t.rows), width, static_cast<std::uint32_t>(o.activation)},
         {kCounts, gates, ups}, {hidden}, {ceil_div(width, kElementwiseWidth), rows});
  const Region y = emit_linear(b, {v, 4}, pairs, input(hidden, ffn, o.used), false);
  b.emit("expert_sum",
         ExpertSumParams{b.rows_of(t.rows), u32_of(t.width()), u32_of(experts), u32_of(o.used),
                         static_cast<bool>(residual)},
         {kCounts, b.value(b.in(v, 1)), pairs.place, y, residual ? b.value(residual) : y}, {b.value(result)},
         {ceil_div(t.width(), kSumWidth), rows});
}

}  // namespace medlar::runtime::gpu
