#include "runtime/gpu/lower.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "base/assert.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/all.h"
#include "ir/cut.h"
#include "kernels/gpu/params.h"
#include "runtime/gpu/lower_attention.h"
#include "runtime/gpu/lower_best.h"
#include "runtime/gpu/lower_experts.h"
#include "runtime/gpu/lower_few.h"
#include "runtime/gpu/lower_tiles.h"
#include "runtime/gpu/step_buffer.h"
#include "runtime/gpu/step_builder.h"

namespace medlar::runtime::gpu {

using namespace medlar::gpu;  // NOLINT: this file is about their parameters
using ir::RowCount;
using ir::Value;

namespace {

constexpr std::int64_t kMaxHeadDim = 512;  // of heads.h
constexpr std::int64_t kMaxKeyDim = 576;   // of attention.h
constexpr std::int64_t kHeadsPerGroup = 4;
constexpr std::int64_t kBlocksPerGroup = 128;                  // of store_heads
constexpr std::int64_t kStateThreads = 128;                    // of short_conv and scan
constexpr std::int64_t kScanColumns = 32, kMaxScanKeys = 256;  // of scan

}  // namespace

std::vector<KvPart> layout_kv(const ir::Graph& graph, const ProgramOptions& options) {
  check_values_in_keys(graph, options.k_type);
  std::vector<KvPart> parts;
  std::size_t end = 0;
  const auto add = [&](DType type, const ir::KvLayer& layer, std::int64_t dim) {
    if (!format_info(type).is_kv() || dim % format_info(type).block_length != 0 || dim > kMaxKeyDim)
      throw Error(ErrorKind::unsupported,
                  fmt::format("a head of {} values cannot be cached as {}", dim, format_name(type)),
                  "use a KV type without blocks: --kv-k f16 --kv-v f16");
    KvPart p{.type = type, .heads = layer.heads, .dim = dim, .row_bytes = row_bytes(type, dim)};
    p.page_bytes = p.row_bytes * p.heads * kernels::kPageTokens;
    p.offset = end;
    p.bytes = static_cast<std::size_t>(options.kv_pages[static_cast<std::size_t>(layer.group)]) *
              static_cast<std::size_t>(p.page_bytes);
    end = checked_align_up<std::size_t>(end + p.bytes, 4096, "the KV cache");
    parts.push_back(p);
  };
  for (const ir::KvLayer& layer : graph.kv_layers()) {
    if (layer.recurrent()) {
      for (const ir::KvPart part : {ir::KvPart::key, ir::KvPart::value}) {
        KvPart p{.page_bytes = layer.state(part) * static_cast<std::int64_t>(sizeof(float)), .offset = end};
        p.bytes = static_cast<std::size_t>(options.kv_pages[static_cast<std::size_t>(layer.group)]) *
                  static_cast<std::size_t>(p.page_bytes);
        end = checked_align_up<std::size_t>(end + p.bytes, 4096, "the KV cache");
        parts.push_back(p);
      }
      continue;
    }
    add(options.k_type, layer, layer.k_dim);
    add(options.v_type, layer, layer.v_dim);
  }
  return parts;
}

// Visits groups and emits their dispatches.
class Emitter : public StepBuilder {
 public:
  Emitter(const Lowering& lowering, const StepShape& shape, StepPlan& plan)
      : StepBuilder(lowering.graph_, lowering.options_, lowering.storage_, shape, plan),
        l_(lowering),
        few_(*this, lowering.tuning_, lowering.block_inputs_) {}

  void operator()(const ir::Single& s) {
    std::visit([&](const auto& o) { single(s.node, o); }, g()[s.node].op);
  }

  void operator()(const ir::NormAdd& n) { norm(n.norm, n.residual, value(n.result)); }
  void operator()(const ir::ExpertsAdd& e) { emit_experts(*this, e.experts, e.residual, e.result); }

  void operator()(const ir::LinearGroup& group) {
    if (few_.take(group)) return few_.emit(group);
    const RowCount rows = type(group.input).rows;
    if (max_rows(rows) > (l_.tuning_.lane_rows > 0 ? 1 : kVecRows) && !only_vec())
      return emit_tiles(*this, group, l_.tuning_);
    const Region x = normed(group);
    std::vector<Region> results;
    for (const ir::LinearGroup::Out& out : group.outs) {
      results.push_back(group.glu ? value(out.linear) : value(out.result));
      linear(out, x, rows, results.back());
    }
    if (group.glu) glu(group.glu, results[0], results[1]);
  }

  void operator()(const ir::AttendPrepare& a) {
    const ir::KvWrite &key = op<ir::KvWrite>(a.key_write), &values = op<ir::KvWrite>(a.value_write);
    const Shape& keys = type(a.key_write).shape;
    const HeadSource q = head_source(a.q_norm, a.q_rope, type(a.q_result).shape),
                     k = head_source(a.k_norm, a.k_rope, keys);
    const AttendParams p{
        .q = q.params, .k = k.params, .key = store_params(key), .value = store_params(values)};
    const Region room = temporary(static_cast<std::size_t>(shape_.tokens * keys.elements()) * sizeof(float));
    emit(fmt::format("attend_heads_{}_{}", format_name(part(key).type), format_name(part(values).type)), p,
         {kCounts, step(StepField::positions), step(StepField::sequences),
          step(StepField::pages, group_of(key.layer)), value(a.q), value(a.k), value(a.v), q.weight, k.weight,
          q.inv_freq, k.inv_freq},
         {value(a.q_result), room, region(key), region(values)},
         {ceil_div(p.q.heads + p.k.heads + p.value.heads, kHeadsPerGroup), u32_of(shape_.tokens)});
  }

 private:
  struct HeadSource {
    HeadParams params;
    Region weight, inv_freq;
  };

  const KvPart& part(const ir::KvWrite& w) const { return l_.kv_[static_cast<std::size_t>(region(w).id)]; }
  static Region region(const ir::KvWrite& w) {
    return {RegionKind::kv, 2 * w.layer + (w.part == ir::KvPart::value)};
  }

  // --- products
  void linear(const ir::LinearGroup::Out& out, Region x, RowCount rows, Region y) {
    const Value weight = in(out.linear, 1);
    const bool has_bias = has_input(out.linear, 2);
    const Shape& shape = type(weight).shape;
    const DType dtype = type(weight).dtype;
    const LinearParams p{.rows = rows_of(rows),
                         .n = u32_of(shape[0]),
                         .k = u32_of(shape[1]),
                         .row_bytes = u32_of(row_bytes(dtype, shape[1])),
                         .has_bias = has_bias,
                         .has_residual = static_cast<bool>(out.residual)};
    const Region w = constant(weight);
    const Region bias = has_bias ? constant(in(out.linear, 2)) : w,
                 residual = out.residual ? value(out.residual) : w;
    const std::int64_t m = max_rows(rows);
    const int batch = m == 1 ? 1 : m <= 4 ? 4 : kVecRows;
    emit(fmt::format("linear_vec_{}_{}", format_name(dtype), batch), p, {kCounts, x, w, bias, residual}, {y},
         {ceil_div(shape[0], kVecOutputs), ceil_div(m, batch)});
  }

  // --- heads
  HeadSource head_source(Value norm, Value rope, const Shape& shape) const {
    HeadSource s{.params = {.heads = u32_of(shape[0]),
                            .dim = u32_of(shape[1]),
                            .norm = norm ? 1U : 0U,
                            .has_weight = norm ? 1U : 0U,
                            .eps = norm ? op<ir::RmsNorm>(norm).eps : 0,
                            .rope_dim = 0,
                            .rope_style = 0,
                            .magnitude = 1,
                            .rope_first = 0},
                 .weight = kCounts,
                 .inv_freq = kCounts};
    if (shape[1] > kMaxHeadDim)
      fail(ErrorKind::unsupported, "heads of {} values have no GPU kernel", shape[1]);
    if (norm) s.weight = constant(in(norm, 1));
    if (rope) {
      const ir::Rope& r = op<ir::Rope>(rope);
      s.params.rope_dim = u32_of(2 * type(in(rope, 1)).width());
      s.params.rope_style = static_cast<std::uint32_t>(r.style);
      s.params.rope_first = u32_of(r.first);
      s.params.magnitude = r.magnitude;
      s.inv_freq = constant(in(rope, 1));
    }
    return s;
  }
  Extent head_grid(const HeadParams& p) const {
    return {ceil_div(p.heads, kHeadsPerGroup), u32_of(shape_.tokens)};
  }

  void heads(Region x, const HeadSource& s, Region y) {
    emit("heads", s.params, {kCounts, step(StepField::positions), x, s.weight, s.inv_freq}, {y},
         head_grid(s.params));
  }

  StoreParams store_params(const ir::KvWrite& to) const {
    const KvPart& p = part(to);
    return {u32_of(p.heads), u32_of(p.dim), static_cast<std::uint32_t>(group_of(to.layer)),
            u32_of(p.row_bytes), static_cast<std::uint64_t>(p.page_bytes)};
  }

  void store(Region x, const ir::KvWrite& to) {
    const KvPart& p = part(to);
    const std::int64_t blocks = p.heads * p.dim / format_info(p.type).block_length;
    emit(fmt::format("store_heads_{}", format_name(p.type)), store_params(to),
         {kCounts, step(StepField::positions), step(StepField::sequences),
          step(StepField::pages, group_of(to.layer)), x},
         {region(to)}, {ceil_div(blocks, kBlocksPerGroup), u32_of(shape_.tokens)});
  }

  int group_of(int layer) const { return g().kv_layers()[static_cast<std::size_t>(layer)].group; }

  // --- single operations
  void single(Value, const ir::Weight&) {}
  void single(Value, const ir::Table&) {}
  void single(Value, const ir::Reshape&) {}
  void single(Value, const ir::Received&) {}
  void single(Value v, const ir::Embed& o) {
    const ir::ValueType& table = type(in(v, 0));
    emit(fmt::format("embed_{}", format_name(table.dtype)),
         EmbedParams{u32_of(type(v).width()), u32_of(row_bytes(table.dtype, table.shape[1])), o.scale,
                     u32_of(table.shape[0] - 1)},
         {kCounts, step(o.by == ir::EmbedBy::token ? StepField::token_ids : StepField::positions),
          constant(in(v, 0))},
         {value(v)}, {u32_of(shape_.tokens)});
  }
  void single(Value v, const ir::GatherRows&) {
    emit("gather_rows", GatherParams{u32_of(type(v).width())},
         {kCounts, step(StepField::rows), value(in(v, 0))}, {value(v)}, {u32_of(shape_.logit_rows)});
  }
  void single(Value v, const ir::RmsNorm&) { norm(v, {}, value(v)); }
  void single(Value v, const ir::LayerNorm& o) {
    const bool has_bias = has_input(v, 2);
    const Region x = value(in(v, 0));
    emit("layer_norm", LayerNormParams{rows_of(type(v).rows), u32_of(type(v).width()), o.eps, has_bias},
         {kCounts, x, constant(in(v, 1)), has_bias ? constant(in(v, 2)) : x}, {value(v)},
         {u32_of(max_rows(type(v).rows))});
  }
  void single(Value v, const ir::Temperature& o) {
    emit("temperature", TemperatureParams{u32_of(type(v).width()), o.beta, u32_of(o.length)},
         {kCounts, step(StepField::positions), value(in(v, 0))}, {value(v)}, elementwise_grid(v));
  }
  void single(Value v, const ir::Linear&) {
    (*this)(ir::LinearGroup{
        .input = in(v, 0), .norm = {}, .outs = {{.linear = v, .residual = {}, .result = v}}, .glu = {}});
  }
  void single(Value v, const ir::Glu&) { glu(v, value(in(v, 0)), value(in(v, 1))); }
  void single(Value v, const ir::Binary& o) {
    const Value b = in(v, 1);
    const bool broadcast = type(b).storage != ir::Storage::rows;
    emit("binary",
         BinaryParams{rows_of(type(v).rows), u32_of(type(v).width()), static_cast<std::uint32_t>(o.op),
                      broadcast},
         {kCounts, value(in(v, 0)), broadcast ? constant(b) : value(b)}, {value(v)}, elementwise_grid(v));
  }
  void single(Value v, const ir::Unary& o) {
    emit("unary",
         UnaryParams{rows_of(type(v).rows), u32_of(type(v).width()), static_cast<std::uint32_t>(o.op),
                     o.parameter},
         {kCounts, value(in(v, 0))}, {value(v)}, elementwise_grid(v));
  }
  void single(Value v, const ir::HeadLinear&) {
    const ir::ValueType& weight = type(in(v, 1));
    const Shape& s = weight.shape;
    emit(fmt::format("head_linear_{}", format_name(weight.dtype)),
         HeadLinearParams{rows_of(type(v).rows), u32_of(s[0]), u32_of(s[1]), u32_of(s[2]),
                          u32_of(type(in(v, 0)).shape[1] - s[2]), u32_of(row_bytes(weight.dtype, s[2]))},
         {kCounts, value(in(v, 0)), constant(in(v, 1))}, {value(v)},
         {ceil_div(s[1], kVecOutputs), u32_of(s[0]), u32_of(max_rows(type(v).rows))});
  }
  void single(Value v, const ir::Concat&) {
    const Value a = in(v, 0), b = in(v, 1);
    emit("concat", ConcatParams{rows_of(type(v).rows), u32_of(type(a).width()), u32_of(type(b).width())},
         {kCounts, value(a), value(b)}, {value(v)}, elementwise_grid(v));
  }
  void single(Value v, const ir::Route&) { emit_route(*this, v); }
  void single(Value v, const ir::Experts&) { emit_experts(*this, v, {}, v); }
  void single(Value v, const ir::Rope&) {
    heads(value(in(v, 0)), head_source({}, v, type(v).shape), value(v));
  }
  void single(Value v, const ir::KvWrite& o) { store(value(in(v, 0)), o); }

  void single(Value v, const ir::Attention& o) {
    const ir::KvWrite k{o.layer, ir::KvPart::key}, values{o.layer, op<ir::KvWrite>(in(v, 2)).part};
    KvPart rows = part(values);
    rows.dim = type(v).shape[1];
    emit_attention(*this, v,
                   {.k = part(k),
                    .v = rows,
                    .k_region = region(k),
                    .v_region = region(values),
                    .group = group_of(o.layer),
                    .stored = few_.stored_bytes(v)},
                   l_.tuning_);
  }

  // --- recurrences
  Region state_region(int layer, ir::KvPart part) const {
    return {RegionKind::kv, 2 * layer + (part == ir::KvPart::value)};
  }
  std::uint64_t state_bytes(Region states) const {
    return static_cast<std::uint64_t>(l_.kv_[static_cast<std::size_t>(states.id)].page_bytes);
  }
  // What tells a kernel where sequences begin and their states are.
  std::vector<Region> state_reads(int layer) const {
    return {kCounts, step(StepField::positions), step(StepField::sequences), step(StepField::runs),
            step(StepField::pages, group_of(layer))};
  }
  void single(Value v, const ir::ShortConv& o) {
    const Region states = state_region(o.layer, ir::KvPart::key), weight = constant(in(v, 1));
    const bool has_bias = has_input(v, 2);
    std::vector<Region> reads = state_reads(o.layer);
    for (const Region& r : {value(in(v, 0)), weight, has_bias ? constant(in(v, 2)) : weight})
      reads.push_back(r);
    const std::int64_t channels = type(v).width();
    emit("short_conv",
         ShortConvParams{.channels = u32_of(channels),
                         .width = u32_of(type(in(v, 1)).shape[1]),
                         .has_bias = has_bias,
                         .activation = static_cast<std::uint32_t>(o.activation),
                         .group = static_cast<std::uint32_t>(group_of(o.layer)),
                         .padding = 0,
                         .page_bytes = state_bytes(states)},
         std::move(reads), {value(v), states}, {ceil_div(channels, kStateThreads), u32_of(shape_.runs)});
  }
  void single(Value v, const ir::Scan& o) {
    if (o.key_dim > kMaxScanKeys)
      fail(ErrorKind::unsupported, "states of {} rows have no GPU kernel", o.key_dim);
    const Region states = state_region(o.layer, ir::KvPart::value);
    const Value last = in(v, 4);
    const bool delta = type(last).storage == ir::Storage::rows;
    std::vector<Region> reads = state_reads(o.layer);
    for (const Region& r : {value(in(v, 0)), value(in(v, 1)), constant(in(v, 2)), constant(in(v, 3)),
                            delta ? value(last) : constant(last)})
      reads.push_back(r);
    const std::int64_t heads = type(v).shape[0];
    emit("scan",
         ScanParams{.width = u32_of(type(in(v, 0)).width()),
                    .q_at = u32_of(o.q_at),
                    .k_at = u32_of(o.k_at),
                    .v_at = u32_of(o.v_at),
                    .heads = u32_of(heads),
                    .key_heads = u32_of(o.key_heads),
                    .key_dim = u32_of(o.key_dim),
                    .value_dim = u32_of(o.value_dim),
                    .interleaved = o.interleaved,
                    .delta = delta,
                    .eps = o.eps,
                    .scale = o.scale,
                    .group = static_cast<std::uint32_t>(group_of(o.layer)),
                    .padding = 0,
                    .page_bytes = state_bytes(states)},
         std::move(reads), {value(v), states},
         {ceil_div(o.value_dim, kScanColumns), u32_of(heads), u32_of(shape_.runs)});
  }
  void single(Value v, const ir::SliceOf& o) {
    const Shape& s = type(in(v, 0)).shape;
    emit("slice",
         SliceParams{rows_of(type(v).rows), u32_of(s.rows()), u32_of(s.back()), u32_of(o.begin),
                     u32_of(o.width)},
         {kCounts, value(in(v, 0))}, {value(v)}, elementwise_grid(v));
  }

  const Lowering& l_;
  FewProducts few_;
};

Lowering::Lowering(const ir::Graph& graph, const ProgramOptions& options, const std::vector<KvPart>& kv,
                   LowerOptions tuning)
    : graph_(graph),
      options_(options),
      kv_(kv),
      tuning_(tuning),
      groups_(ir::fuse(graph, options.fuse ? ir::FusionOptions{} : ir::FusionOptions::none())),
      storage_(graph.nodes().size()) {
  std::iota(storage_.begin(), storage_.end(), 0);
  for (std::size_t i = 0; i < storage_.size(); ++i) {
    const Value v{static_cast<std::int32_t>(i)};
    if (graph.get_if<ir::Reshape>(v)) storage_[i] = storage_[static_cast<std::size_t>(graph[v].inputs[0].id)];
  }
  block_inputs_ = block_inputs(graph, groups_, storage_);
}

StepShape Lowering::covering(const StepShape& shape) const {
  const auto up = [](int n) {
    return static_cast<int>(std::bit_ceil(static_cast<unsigned>(std::max(n, 1))));
  };
  const int tokens = std::min(up(shape.tokens), options_.max_tokens);
  StepShape s{tokens, std::min(up(shape.logit_rows), options_.max_logit_rows), up(shape.kv_tokens),
              tokens <= kVecRows ? tokens : std::min(up(shape.runs), tokens)};
  if (!is_decoding(s)) s.kv_tokens = 1;  // nothing depends on it
  return s;
}

StepPlan Lowering::plan(const StepShape& shape) const {
  StepPlan plan;
  Emitter emitter(*this, shape, plan);
  for (const ir::Group& group : groups_) std::visit(emitter, group);
  if (const Value received = ir::received(graph_)) plan.input = emitter.value(received);
  plan.output = emitter.value(graph_.output());
  if (options_.best) plan.best = emit_best(emitter, graph_.output());
  return plan;
}

}  // namespace medlar::runtime::gpu
