#include "runtime/cpu/lower.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "formats/all.h"

namespace medlar::runtime::cpu {

using namespace kernels;  // NOLINT: this file is about their arguments
using ir::Value;

std::byte* ArenaBuilder::touch(int id, std::size_t bytes, int step) {
  const auto i = static_cast<std::size_t>(id);
  if (!base_) {
    if (buffers_.size() <= i) buffers_.resize(i + 1, {.bytes = 0, .first = -1, .last = -1});
    ir::Lifetime& b = buffers_[i];
    if (b.first < 0) b.first = step;
    b.bytes = std::max(b.bytes, bytes);
    b.last = std::max(b.last, step);
    return nullptr;
  }
  return base_ + layout_.offsets[i];
}

std::size_t ArenaBuilder::place() {
  // Guard bytes can only be checked where no other buffer ever lies.
  if (guard_bytes_)
    for (ir::Lifetime& b : buffers_) b.first = 0, b.last = kForever;
  layout_ = ir::pack(buffers_, guard_bytes_);
  return layout_.bytes;
}

std::vector<std::span<std::byte>> ArenaBuilder::guards() const {
  std::vector<std::span<std::byte>> spans;
  for (std::size_t i = 0; i < buffers_.size() && guard_bytes_; ++i)
    if (buffers_[i].bytes) spans.emplace_back(base_ + layout_.offsets[i] + buffers_[i].bytes, guard_bytes_);
  return spans;
}

KvLayout layout_kv(const ir::Graph& graph, const ProgramOptions& options) {
  check_values_in_keys(graph, options.k_type);
  KvLayout layout;
  const auto place = [&](KvPages pages, int group) {
    const KvLayout::Part part{layout.bytes, pages};
    layout.bytes += static_cast<std::size_t>(options.kv_pages[static_cast<std::size_t>(group)]) *
                    static_cast<std::size_t>(pages.page_bytes);
    layout.bytes = (layout.bytes + 4095) / 4096 * 4096;
    return part;
  };
  const auto state = [&](std::int64_t floats, int group) {
    const std::int64_t bytes = floats * static_cast<std::int64_t>(sizeof(float));
    return place({nullptr, DType::f32, 1, floats, bytes, bytes}, group);
  };
  const auto part = [&](DType type, std::int64_t heads, std::int64_t dim, int group) {
    if (dim % format_info(type).block_length != 0)
      throw Error(ErrorKind::unsupported,
                  fmt::format("a head of {} values cannot be cached as {}", dim, format_info(type).name),
                  "use a KV type without blocks: --kv-k f16 --kv-v f16");
    const std::int64_t row = row_bytes(type, dim);
    return place({nullptr, type, heads, dim, row, row * heads * kPageTokens}, group);
  };
  for (const ir::KvLayer& layer : graph.kv_layers()) {
    if (layer.recurrent()) {
      layout.k.push_back(state(layer.conv_state, layer.group));
      layout.v.push_back(state(layer.scan_state, layer.group));
      continue;
    }
    layout.k.push_back(part(options.k_type, layer.heads, layer.k_dim, layer.group));
    layout.v.push_back(part(options.v_type, layer.heads, layer.v_dim, layer.group));
  }
  return layout;
}

// Visits one group and emits its calls.
struct Emitter {
  Lowering& l;
  ArenaBuilder& arena;
  const KvLayout& kv;
  std::byte* kv_base;
  std::vector<StepCall>& calls;
  int temporaries;                   // ids of buffers that are not values
  std::map<int, int> prepared = {};  // by value: the buffer of its tiles, which a product stores itself

  const ir::Graph& g() const { return l.graph_; }
  int step() const { return static_cast<int>(calls.size()); }
  template <class Op>
  const Op& op(Value v) const {
    return std::get<Op>(g()[v].op);
  }
  Value in(Value v, std::size_t i) const { return g()[v].inputs[i]; }
  bool has_input(Value v, std::size_t i) const { return g()[v].inputs.size() > i; }
  const ir::ValueType& type(Value v) const { return g()[v].type; }

  void call(KernelOp op, DType type, StepArgs args) {
    calls.push_back({.entry = &l.table_.find(op, type), .args = std::move(args), .weights = {}});
  }
  // The last call reads this weight, for whoever watches.
  void note(Value weight) {
    const ir::NamedTensor& info = g().weights()[static_cast<std::size_t>(op<ir::Weight>(weight).index)];
    StepCall& last = calls.back();
    last.weights += last.weights.empty() ? info.name : "," + info.name;
    last.weight_bytes += std::ssize(info.tensor.bytes);
  }

  std::int64_t max_rows(RowCount rows) const {
    return rows == RowCount::tokens       ? l.options_.max_tokens
           : rows == RowCount::logit_rows ? l.options_.max_logit_rows
                                          : 1;
  }
  float* buffer(Value v, int at) {
    const auto bytes = static_cast<std::size_t>(max_rows(type(v).rows) * type(v).width()) * sizeof(float);
    return reinterpret_cast<float*>(arena.touch(l.storage_[static_cast<std::size_t>(v.id)], bytes, at));
  }
  float* buffer(Value v) { return buffer(v, step()); }

  // A weight's or table's bytes.
  const void* bytes(Value v) const {
    if (const auto* w = g().get_if<ir::Weight>(v))
      return g().weights()[static_cast<std::size_t>(w->index)].tensor.bytes.data();
    return g().tables()[static_cast<std::size_t>(op<ir::Table>(v).index)].data();
  }
  const float* floats(Value v) const { return v ? static_cast<const float*>(bytes(v)) : nullptr; }

  KvPages pages(const KvLayout::Part& part) const {
    KvPages p = part.pages;
    p.base = kv_base ? kv_base + part.offset : nullptr;
    return p;
  }
  KvPages pages(int layer, ir::KvPart part) const {
    return pages((part == ir::KvPart::key ? kv.k : kv.v)[static_cast<std::size_t>(layer)]);
  }
  int group_of(int layer) const { return g().kv_layers()[static_cast<std::size_t>(layer)].group; }

  // --- groups
  void operator()(const ir::Single& s) {
    std::visit([&](const auto& o) { single(s.node, o); }, g()[s.node].op);
  }

  void operator()(const ir::NormAdd& n) { norm(n.norm, n.residual, n.result); }
  void operator()(const ir::ExpertsAdd& e) { experts(e.experts, e.residual, e.result); }

  void operator()(const ir::LinearGroup& group) {
    const Value first = group.outs[0].linear;
    const ActKind kind = rows_dot(first).act;
    const RowCount rows = type(group.input).rows;
    const std::int64_t k = type(group.input).width();
    const Batch batch = batch_of(group);
    const Prepared x = prepare(group, kind, batch);
    LinearArgs args{.x = x.few,
                    .batch_x = x.batch,
                    .kind = kind,
                    .batch = batch,
                    .rows = rows,
                    .k = k,
                    .outs = static_cast<int>(group.outs.size()),
                    .out = {},
                    .glu = group.glu ? op<ir::Glu>(group.glu).activation : Activation::none,
                    .uniform = l.options_.batch_invariant,
                    .next = batch == Batch::tiles ? next_tiles(group) : nullptr,
                    .copy_bytes = x.copy_bytes};
    for (std::size_t i = 0; i < group.outs.size(); ++i) {
      const auto& out = group.outs[i];
      const Value w = in(out.linear, 1);
      const Value result = group.glu ? group.glu : out.result;
      args.out[i] = {.weight = bytes(w),
                     .dot = rows_dot(out.linear).rows_dot,
                     .unpack = batch == Batch::tiles ? leaf(KernelOp::unpack_tiles, w).unpack : nullptr,
                     .batch_dot = batch == Batch::floats ? leaf(KernelOp::batch_dot, w).rows_dot : nullptr,
                     .type = type(w).dtype,
                     .n = type(w).shape[0],
                     .bias = has_input(out.linear, 2) ? floats(in(out.linear, 2)) : nullptr,
                     .residual = out.residual ? buffer(out.residual) : nullptr,
                     .y = buffer(result)};
    }
    call(KernelOp::linear, DType::f32, args);
    for (const auto& out : group.outs) note(in(out.linear, 1));
  }

  const KernelEntry& rows_dot(Value linear) const {
    return l.table_.rows_dot(type(in(linear, 1)).dtype, l.options_.exact);
  }

  const KernelEntry& leaf(KernelOp op, Value weight) const { return l.table_.find(op, type(weight).dtype); }

  // What multiplies batches is here and can take every matrix of the group.
  Batch batch_of(const ir::LinearGroup& group) const {
    if (l.options_.exact || l.options_.batch_invariant || type(group.input).width() % 32 != 0)
      return Batch::none;
    const auto all_have = [&](KernelOp op) {
      return std::ranges::all_of(
          group.outs, [&](const auto& out) { return l.table_.has(op, type(in(out.linear, 1)).dtype); });
    };
    return all_have(KernelOp::unpack_tiles) ? Batch::tiles
           : all_have(KernelOp::batch_dot)  ? Batch::floats
                                            : Batch::none;
  }

  // The prepared input of the group that alone reads this one's result, if it can be stored as tiles at once.
  std::byte* next_tiles(const ir::LinearGroup& group) {
    const auto& first = group.outs[0];
    const Value result = group.glu ? group.glu : first.result;
    const ir::LinearGroup* reader = l.only_reader_[static_cast<std::size_t>(result.id)];
    if (!reader || reader->norm || (!group.glu && group.outs.size() > 1) || first.residual ||
        batch_of(*reader) != Batch::tiles)
      return nullptr;
    const int id = temporaries++;
    prepared.emplace(result.id, id);
    const ir::ValueType& t = type(result);
    const ActKind kind = rows_dot(reader->outs[0].linear).act;
    return arena.touch(id, prepared_bytes(kind, Batch::tiles, t.width(), max_rows(t.rows)), step());
  }

  // Each thread may prepare a single row for itself: the products then begin while others still read the
  // input, so none may take its place. What experts read is shared.
  bool may_copy(const ir::LinearGroup& group) const {
    const auto storage = [&](Value v) { return l.storage_[static_cast<std::size_t>(v.id)]; };
    return !group.outs.empty() && std::ranges::none_of(group.outs, [&](const auto& out) {
      return storage(group.glu ? group.glu : out.result) == storage(group.input);
    });
  }

  // The group's input, normalised and stored as its products want it.
  struct Prepared {
    const std::byte* few;
    const std::byte* batch;
    std::int64_t copy_bytes = 0;
  };
  Prepared prepare(const ir::LinearGroup& group, ActKind kind, Batch batch) {
    const RowCount rows = type(group.input).rows;
    const std::int64_t width = type(group.input).width();
    const auto input = [&] { return reinterpret_cast<const std::byte*>(buffer(group.input)); };
    const bool as_it_is =
        !group.norm && act_bytes(ActKind::f32, width) == static_cast<std::size_t>(width) * sizeof(float);
    if (as_it_is && kind == ActKind::f32 && batch != Batch::tiles) return {input(), input()};
    const bool input_is_batch = as_it_is && batch == Batch::floats;
    const std::size_t copy = may_copy(group) ? act_bytes(kind, width) : 0;
    const std::size_t size =
        std::max(prepared_bytes(kind, input_is_batch ? Batch::none : batch, width, max_rows(rows)),
                 copy * static_cast<std::size_t>(l.threads_));
    const auto packed = prepared.find(group.input.id);
    const int id = packed != prepared.end() ? packed->second : temporaries++;
    PrepareArgs args{.x = buffer(group.input),
                     .norm = static_cast<bool>(group.norm),
                     .norm_weight = nullptr,
                     .eps = 0,
                     .rows = rows,
                     .width = width,
                     .kind = kind,
                     .batch = batch,
                     .packed = input_is_batch || packed != prepared.end(),
                     .y = arena.touch(id, size, step()),
                     .copy_bytes = static_cast<std::int64_t>(copy)};
    if (group.norm) args.norm_weight = floats(in(group.norm, 1)), args.eps = op<ir::RmsNorm>(group.norm).eps;
    call(KernelOp::prepare, DType::f32, args);
    if (copy > 0) calls.back().own_at_one = rows;
    input();  // may still be read when the products begin to write
    const std::byte* made = arena.touch(id, size, step());
    return {made, input_is_batch ? input() : made, static_cast<std::int64_t>(copy)};
  }

  void operator()(const ir::AttendPrepare& a) {
    const ir::KvWrite& key = op<ir::KvWrite>(a.key_write);
    const ir::KvWrite& value = op<ir::KvWrite>(a.value_write);
    const Shape& heads = type(a.q_result).shape;
    AttendPrepareArgs args{.q = buffer(a.q),
                           .k = buffer(a.k),
                           .v = buffer(a.v),
                           .heads = heads[0],
                           .head_dim = heads[1],
                           .q_norm = a.q_norm ? floats(in(a.q_norm, 1)) : nullptr,
                           .k_norm = a.k_norm ? floats(in(a.k_norm, 1)) : nullptr,
                           .eps = 0,
                           .rope_dim = 0,
                           .style = RopeStyle::adjacent,
                           .inv_freq = nullptr,
                           .magnitude = 1,
                           .k_to = pages(key.layer, key.part),
                           .v_to = pages(value.layer, value.part),
                           .group = group_of(key.layer)};
    if (const Value n = a.q_norm ? a.q_norm : a.k_norm) args.eps = op<ir::RmsNorm>(n).eps;
    if (a.q_rope) {
      const ir::Rope& rope = op<ir::Rope>(a.q_rope);
      args.rope_dim = 2 * type(in(a.q_rope, 1)).width();
      args.style = rope.style, args.magnitude = rope.magnitude, args.inv_freq = floats(in(a.q_rope, 1));
    }
    call(KernelOp::attend_prepare, args.k_to.type, args);
  }

  // --- single operations
  void single(Value, const ir::Weight&) {}
  void single(Value, const ir::Table&) {}
  void single(Value, const ir::Reshape&) {}
  void single(Value v, const ir::Received&) { l.input_ = buffer(v, 0); }
  void single(Value v, const ir::Embed& o) {
    const Value table = in(v, 0);
    call(KernelOp::embed, type(table).dtype,
         EmbedArgs{bytes(table), type(table).dtype, type(v).width(), o.scale, buffer(v), o.by,
                   type(table).shape[0]});
  }
  void single(Value v, const ir::GatherRows&) {
    call(KernelOp::gather_rows, DType::f32, GatherRowsArgs{buffer(in(v, 0)), type(v).width(), buffer(v)});
  }
  void single(Value v, const ir::RmsNorm&) { norm(v, {}, v); }
  void single(Value v, const ir::LayerNorm& o) {
    call(KernelOp::layer_norm, DType::f32,
         LayerNormArgs{buffer(in(v, 0)), floats(in(v, 1)), has_input(v, 2) ? floats(in(v, 2)) : nullptr,
                       type(v).rows, type(v).width(), o.eps, buffer(v)});
  }
  void single(Value v, const ir::Temperature& o) {
    call(KernelOp::temperature, DType::f32,
         TemperatureArgs{buffer(in(v, 0)), type(v).width(), o.beta, o.length, buffer(v)});
  }
  void single(Value v, const ir::Linear&) {
    (*this)(ir::LinearGroup{
        .input = in(v, 0), .norm = {}, .outs = {{.linear = v, .residual = {}, .result = v}}, .glu = {}});
  }
  void single(Value v, const ir::Binary& o) {
    const Value b = in(v, 1);
    const bool broadcast = type(b).storage != ir::Storage::rows;
    call(KernelOp::binary, DType::f32,
         BinaryArgs{o.op, buffer(in(v, 0)), broadcast ? floats(b) : buffer(b), broadcast, type(v).rows,
                    type(v).width(), buffer(v)});
  }
  void single(Value v, const ir::Unary& o) {
    call(KernelOp::unary, DType::f32,
         UnaryArgs{o.op, o.parameter, buffer(in(v, 0)), type(v).rows, type(v).width(), buffer(v)});
  }
  void single(Value v, const ir::Glu& o) {
    call(KernelOp::glu, DType::f32,
         GluArgs{o.activation, buffer(in(v, 0)), buffer(in(v, 1)), type(v).rows, type(v).width(), buffer(v)});
  }
  void single(Value v, const ir::Route& o) {
    call(KernelOp::route, DType::f32,
         RouteArgs{.logits = buffer(in(v, 0)),
                   .bias = has_input(v, 1) ? floats(in(v, 1)) : nullptr,
                   .rows = type(v).rows,
                   .experts = type(v).width(),
                   .used = o.used,
                   .score = o.score,
                   .normalize = o.normalize,
                   .groups = o.groups,
                   .groups_used = o.groups_used,
                   .group_best = o.group_best,
                   .scale = o.scale,
                   .y = buffer(v)});
  }
  void single(Value v, const ir::Experts&) { experts(v, {}, v); }
  void single(Value v, const ir::Rope& o) {
    const Shape& s = type(v).shape;
    call(KernelOp::rope, DType::f32,
         RopeArgs{buffer(in(v, 0)), s[0], s[1], 2 * type(in(v, 1)).width(), o.style, floats(in(v, 1)),
                  o.magnitude, buffer(v), o.first});
  }
  void single(Value v, const ir::HeadLinear&) {
    const Value w = in(v, 1);
    const Shape& s = type(w).shape;
    call(KernelOp::head_linear, DType::f32,
         HeadLinearArgs{.x = buffer(in(v, 0)),
                        .weight = bytes(w),
                        .type = type(w).dtype,
                        .dot = l.table_.rows_dot(type(w).dtype, true).rows_dot,
                        .rows = type(v).rows,
                        .heads = s[0],
                        .n = s[1],
                        .k = s[2],
                        .rest = type(in(v, 0)).shape[1] - s[2],
                        .y = buffer(v)});
    note(w);
  }
  void single(Value v, const ir::Concat&) {
    const Value a = in(v, 0), b = in(v, 1);
    call(KernelOp::concat, DType::f32,
         ConcatArgs{buffer(a), buffer(b), type(v).rows, type(a).width(), type(b).width(), buffer(v)});
  }
  void single(Value v, const ir::KvWrite& o) {
    const KvPages to = pages(o.layer, o.part);
    call(KernelOp::kv_write, to.type, KvWriteArgs{buffer(in(v, 0)), to, group_of(o.layer)});
  }
  void single(Value v, const ir::Attention& o) {
    const KvPages k = pages(o.layer, ir::KvPart::key);
    KvPages values = pages(o.layer, op<ir::KvWrite>(in(v, 2)).part);
    values.dim = type(v).shape[1];
    AttentionArgs args{.q = buffer(in(v, 0)),
                       .heads = type(v).shape[0],
                       .k = k,
                       .v = values,
                       .group = group_of(o.layer),
                       .scale = o.scale,
                       .softcap = o.softcap,
                       .window = g().kv_layers()[static_cast<std::size_t>(o.layer)].window,
                       .sinks = has_input(v, 3) ? floats(in(v, 3)) : nullptr,
                       .tiles = !l.options_.exact && !l.options_.batch_invariant,
                       .y = buffer(v),
                       .partials = nullptr,
                       .uniform = l.options_.batch_invariant,
                       .causal = o.causal};
    if (l.threads_ == 1 || l.options_.batch_invariant) return call(KernelOp::attention, k.type, args);
    const int id = temporaries++;
    const auto bytes =
        static_cast<std::size_t>(2 * l.threads_ * attention_partial_floats(args.v.dim)) * sizeof(float);
    args.partials = reinterpret_cast<float*>(arena.touch(id, bytes, step()));
    call(KernelOp::attention, k.type, args);
    arena.touch(id, bytes, step());
    buffer(v);
    call(KernelOp::attention_merge, k.type, args);
  }

  // --- recurrences
  StatePages states(int layer, ir::KvPart part) const {
    const KvPages p = pages(layer, part);
    return {p.base, p.page_bytes, group_of(layer)};
  }
  void single(Value v, const ir::ShortConv& o) {
    call(KernelOp::short_conv, DType::f32,
         ShortConvArgs{buffer(in(v, 0)), floats(in(v, 1)), has_input(v, 2) ? floats(in(v, 2)) : nullptr,
                       type(v).width(), type(in(v, 1)).shape[1], o.activation,
                       states(o.layer, ir::KvPart::key), buffer(v)});
  }
  void single(Value v, const ir::Scan& o) {
    const Value last = in(v, 4);
    const bool delta = type(last).storage == ir::Storage::rows;
    call(KernelOp::scan, DType::f32,
         ScanArgs{.x = buffer(in(v, 0)),
                  .width = type(in(v, 0)).width(),
                  .q_at = o.q_at,
                  .k_at = o.k_at,
                  .v_at = o.v_at,
                  .heads = type(v).shape[0],
                  .key_heads = o.key_heads,
                  .key_dim = o.key_dim,
                  .value_dim = o.value_dim,
                  .interleaved = o.interleaved,
                  .eps = o.eps,
                  .scale = o.scale,
                  .a = buffer(in(v, 1)),
                  .rate = floats(in(v, 2)),
                  .bias = floats(in(v, 3)),
                  .b = delta ? buffer(last) : nullptr,
                  .skip = delta ? nullptr : floats(last),
                  .state = states(o.layer, ir::KvPart::value),
                  .y = buffer(v)});
  }
  void single(Value v, const ir::SliceOf& o) {
    const Shape& s = type(in(v, 0)).shape;
    call(KernelOp::slice, DType::f32,
         SliceArgs{buffer(in(v, 0)), type(v).rows, s.rows(), s.back(), o.begin, o.width, buffer(v)});
  }

  // --- mixtures of experts
  // Gate and up for each pair of a row and an expert, then down and the sum over the row's pairs.
  void experts(Value v, Value residual, Value result) {
    const ir::Experts& o = op<ir::Experts>(v);
    const Value gate = in(v, 2), up = in(v, 3), down = in(v, 4);
    const RowCount rows = type(v).rows;
    const std::int64_t dim = type(v).width(), ffn = type(gate).shape[1];
    const auto routing = [&] {
      return Routing{buffer(in(v, 1)), rows, type(in(v, 1)).width(), o.used, l.options_.batch_invariant};
    };
    const auto act = [&](Value w) { return l.table_.rows_dot(type(w).dtype, l.options_.exact).act; };
    // One prepared input serves gate and up, in f32 where their types want different ones.
    const bool exact = l.options_.exact || act(gate) != act(up);
    const ActKind kind = exact ? ActKind::f32 : act(gate);
    const std::byte* x =
        prepare({.input = in(v, 0), .norm = {}, .outs = {}, .glu = {}}, kind, Batch::none).few;
    const Temporary hidden{temporaries++,
                           static_cast<std::size_t>(max_rows(rows) * o.used * ffn) * sizeof(float)};
    call(KernelOp::expert_glu, DType::f32,
         ExpertGluArgs{.routing = routing(),
                       .x = x,
                       .kind = kind,
                       .k = dim,
                       .n = ffn,
                       .gate = matrices(v, 2, exact),
                       .up = matrices(v, 3, exact),
                       .activation = o.activation,
                       .y = reinterpret_cast<float*>(touch(hidden))});
    note_experts(gate, o.used), note_experts(up, o.used);
    const std::byte* hidden_rows = prepare_hidden(hidden, {rows, o.used, ffn}, act(down));
    call(KernelOp::expert_sum, DType::f32,
         ExpertSumArgs{.routing = routing(),
                       .x = hidden_rows,
                       .kind = act(down),
                       .k = ffn,
                       .n = dim,
                       .down = matrices(v, 4, l.options_.exact),
                       .residual = residual ? buffer(residual) : nullptr,
                       .y = buffer(result)});
    note_experts(down, o.used);
  }

  // A buffer that is no value.
  struct Temporary {
    int id;
    std::size_t bytes;
  };
  std::byte* touch(const Temporary& t) { return arena.touch(t.id, t.bytes, step()); }

  struct PairRows {
    RowCount rows;
    std::int64_t used, width;  // pairs of a row, and values of a pair
  };
  const std::byte* prepare_hidden(const Temporary& hidden, const PairRows& p, ActKind kind) {
    const std::size_t row = act_bytes(kind, p.width);
    if (kind == ActKind::f32 && row == static_cast<std::size_t>(p.width) * sizeof(float))
      return touch(hidden);
    const Temporary rows{temporaries++, row * static_cast<std::size_t>(max_rows(p.rows) * p.used)};
    call(KernelOp::prepare, DType::f32,
         PrepareArgs{.x = reinterpret_cast<const float*>(touch(hidden)),
                     .norm = false,
                     .norm_weight = nullptr,
                     .eps = 0,
                     .rows = p.rows,
                     .width = p.width,
                     .kind = kind,
                     .batch = Batch::none,
                     .packed = false,
                     .y = touch(rows),
                     .per_row = p.used});
    return touch(rows);
  }

  // Input i of the experts, with its bias.
  ExpertMatrices matrices(Value experts, std::size_t i, bool exact) const {
    const Value weight = in(experts, i);
    const DType dtype = type(weight).dtype;
    return {bytes(weight), l.table_.rows_dot(dtype, exact).rows_dot, dtype,
            has_input(experts, i + 3) ? floats(in(experts, i + 3)) : nullptr};
  }
  // The last call reads the matrices of those experts that one row uses, of a batch more.
  void note_experts(Value weight, std::int64_t used) {
    const std::int64_t before = calls.back().weight_bytes;
    note(weight);
    std::int64_t& all = calls.back().weight_bytes;
    all = before + (all - before) * used / type(weight).shape[0];
  }

  void norm(Value norm, Value residual, Value result) {
    const Shape& s = type(norm).shape;
    call(KernelOp::rms_norm, DType::f32,
         RmsNormArgs{.x = buffer(in(norm, 0)),
                     .weight = floats(in(norm, 1)),
                     .residual = residual ? buffer(residual) : nullptr,
                     .rows = type(norm).rows,
                     .per_row = s.rows(),
                     .dim = s.back(),
                     .eps = op<ir::RmsNorm>(norm).eps,
                     .y = buffer(result)});
  }
};

Lowering::Lowering(const ir::Graph& graph, const ProgramOptions& options, const CpuTable& table, int threads)
    : graph_(graph), options_(options), table_(table), threads_(threads), storage_(graph.nodes().size()) {
  ir::FusionOptions fusion = options.fuse ? ir::FusionOptions{} : ir::FusionOptions::none();
  fusion.share_input = [&](DType a, DType b) {
    return table.rows_dot(a, options.exact).act == table.rows_dot(b, options.exact).act;
  };
  groups_ = ir::fuse(graph, fusion);
  std::iota(storage_.begin(), storage_.end(), 0);
  const auto share = [&](Value v, Value with) {
    storage_[static_cast<std::size_t>(v.id)] = storage_[static_cast<std::size_t>(with.id)];
  };
  find_only_readers();
  for (const ir::Group& group : groups_) {
    if (const auto* s = std::get_if<ir::Single>(&group); s && graph.get_if<ir::Reshape>(s->node))
      share(s->node, graph[s->node].inputs[0]);
    if (const auto* a = std::get_if<ir::AttendPrepare>(&group)) share(a->q_result, a->q);
  }
}

void Lowering::find_only_readers() {
  only_reader_.resize(graph_.nodes().size());
  const std::vector<int> uses = ir::use_counts(graph_);
  for (const ir::Group& group : groups_) {
    const auto* linear = std::get_if<ir::LinearGroup>(&group);
    if (!linear || linear->norm) continue;
    const auto input = static_cast<std::size_t>(linear->input.id);
    if (uses[input] == std::ssize(linear->outs)) only_reader_[input] = linear;
  }
}

std::vector<StepCall> Lowering::emit(ArenaBuilder& arena, const KvLayout& kv, std::byte* kv_base) {
  std::vector<StepCall> calls;
  Emitter emitter{*this, arena, kv, kv_base, calls, static_cast<int>(graph_.nodes().size())};
  for (const ir::Group& group : groups_) std::visit(emitter, group);
  output_ = emitter.buffer(graph_.output());
  arena.keep(storage_[static_cast<std::size_t>(graph_.output().id)]);
  return calls;
}

}  // namespace medlar::runtime::cpu
