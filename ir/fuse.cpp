#include "ir/fuse.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kernels/args.h"

namespace medlar::ir {
namespace {

class Fuser {
 public:
  Fuser(const Graph& graph, const FusionOptions& options)
      : g_(graph), options_(options), taken_(graph.nodes().size(), false), users_(graph.nodes().size()) {
    for (std::size_t i = 0; i < graph.nodes().size(); ++i)
      for (Value v : graph.nodes()[i].inputs) users_[index(v)].push_back(value(i));
    // The output is read by somebody outside, so nothing may swallow it.
    if (graph.output()) users_[index(graph.output())].push_back(Value{});
  }

  std::vector<Group> run() {
    if (options_.attend_prepare) each([&](Value v) { try_attend_prepare(v); });
    if (options_.linear) each([&](Value v) { try_glu(v); });
    if (options_.linear) each([&](Value v) { try_linear(v); });
    if (options_.norm_add) each([&](Value v) { try_norm_add(v); });
    if (options_.experts_add) each([&](Value v) { try_experts_add(v); });
    each([&](Value v) {
      if (!is_leaf(v)) take(Single{v});
    });
    return std::move(groups_);
  }

 private:
  static std::size_t index(Value v) { return static_cast<std::size_t>(v.id); }
  static Value value(std::size_t i) { return {static_cast<std::int32_t>(i)}; }

  template <class F>
  void each(F&& f) {
    for (std::size_t i = 0; i < g_.nodes().size(); ++i)
      if (!taken_[i]) f(value(i));
  }

  bool is_leaf(Value v) const { return g_.get_if<Weight>(v) || g_.get_if<Table>(v); }
  bool free(Value v) const { return v && !taken_[index(v)]; }
  bool used_once(Value v) const { return users_[index(v)].size() == 1; }
  Value input(Value v, std::size_t i) const { return g_[v].inputs[i]; }

  // v itself, or what it reshapes, as long as nobody else reads the reshaped value.
  Value through_reshape(Value v) const {
    while (g_.get_if<Reshape>(v) && used_once(v)) v = input(v, 0);
    return v;
  }

  void take(Group group) {
    for (Value v : members(g_, group)) taken_[index(v)] = true;
    groups_.push_back(std::move(group));
  }

  // The rms_norm under `x` when the group of linears would be its only reader.
  Value norm_under(Value x, std::size_t readers) const {
    return g_.get_if<RmsNorm>(x) && free(x) && g_[x].type.shape.rank() == 1 &&
                   users_[index(x)].size() == readers
               ? x
               : Value{};
  }

  void finish_linear(LinearGroup group) {
    const Value x = input(group.outs[0].linear, 0);
    group.norm = norm_under(x, group.outs.size());
    group.input = group.norm ? input(group.norm, 0) : x;
    take(std::move(group));
  }

  void try_glu(Value v) {
    if (!g_.get_if<Glu>(v)) return;
    const Value gate = input(v, 0), up = input(v, 1);
    if (!g_.get_if<Linear>(gate) || !g_.get_if<Linear>(up) || !free(gate) || !free(up)) return;
    if (!used_once(gate) || !used_once(up) || input(gate, 0) != input(up, 0)) return;
    if (!options_.share_input(weight_type(gate), weight_type(up))) return;
    finish_linear({.outs = {{.linear = gate, .result = gate}, {.linear = up, .result = up}}, .glu = v});
  }

  void try_linear(Value v) {
    if (!g_.get_if<Linear>(v)) return;
    LinearGroup group;
    for (Value user : users_[index(input(v, 0))]) {
      if (std::ssize(group.outs) == kernels::kMaxLinearOuts) break;
      if (!g_.get_if<Linear>(user) || !free(user)) continue;
      if (user != v && !options_.share_input(weight_type(v), weight_type(user))) continue;
      group.outs.push_back({.linear = user, .result = user});
    }
    if (group.outs.size() == 1) attach_residual(group.outs[0]);
    finish_linear(std::move(group));
  }

  // The only reader of a value, when that adds it to another of its type.
  struct Sum {
    Value residual, result;
  };
  Sum sum_with(Value v) const {
    if (!used_once(v)) return {};
    const Value sum = users_[index(v)][0];
    const Binary* add = g_.get_if<Binary>(sum);
    if (!add || add->op != BinaryOp::add || !free(sum)) return {};
    const Value other = input(sum, 0) == v ? input(sum, 1) : input(sum, 0);
    if (g_[other].type != g_[v].type || other == v) return {};
    return {other, sum};
  }

  void attach_residual(LinearGroup::Out& out) {
    const Sum sum = sum_with(out.linear);
    if (!sum.result) return;
    out.residual = sum.residual;
    out.result = sum.result;
  }

  void try_norm_add(Value v) {
    if (!g_.get_if<RmsNorm>(v)) return;
    if (const Sum sum = sum_with(v); sum.result) take(NormAdd{v, sum.residual, sum.result});
  }

  void try_experts_add(Value v) {
    if (!g_.get_if<Experts>(v)) return;
    if (const Sum sum = sum_with(v); sum.result) take(ExpertsAdd{v, sum.residual, sum.result});
  }

  // Peels [rope] and [rms_norm] off a query or key, down to the value the group will read.
  struct Peeled {
    Value source, norm, rope;
  };
  Peeled peel(Value v) const {
    Peeled p;
    if (g_.get_if<Rope>(v) && free(v)) p.rope = v, v = input(v, 0);
    if (g_.get_if<RmsNorm>(v) && free(v) && used_once(v)) p.norm = v, v = input(v, 0);
    p.source = through_reshape(v);
    return p;
  }

  void try_attend_prepare(Value v) {
    if (!g_.get_if<Attention>(v)) return;
    const Value q_result = input(v, 0), key_write = input(v, 1), value_write = input(v, 2);
    if (key_write == value_write || !free(key_write) || !free(value_write) || !used_once(q_result)) return;
    if (!used_once(input(key_write, 0)) || !g_.get_if<KvWrite>(key_write) || !g_.get_if<KvWrite>(value_write))
      return;
    const Peeled q = peel(q_result), k = peel(input(key_write, 0));
    const Value values = through_reshape(input(value_write, 0));
    if (static_cast<bool>(q.rope) != static_cast<bool>(k.rope)) return;
    if (q.rope && g_.get_if<Rope>(q.rope)->first != 0) return;  // the fused rotation begins with the head
    if (q.rope &&
        (input(q.rope, 1) != input(k.rope, 1) || !same(*g_.get_if<Rope>(q.rope), *g_.get_if<Rope>(k.rope))))
      return;
    if (q.norm && k.norm && g_.get_if<RmsNorm>(q.norm)->eps != g_.get_if<RmsNorm>(k.norm)->eps) return;
    if (is_leaf(q.source) || !used_once(q.source)) return;  // q is overwritten
    if (!q.rope && !q.norm) return;
    take(AttendPrepare{q.source, k.source, values, q.norm, k.norm, q.rope, k.rope, q_result, key_write,
                       value_write});
  }

  static bool same(const Rope& a, const Rope& b) {
    return a.style == b.style && a.magnitude == b.magnitude && a.first == b.first;
  }
  DType weight_type(Value linear) const { return g_[input(linear, 1)].type.dtype; }

  const Graph& g_;
  const FusionOptions& options_;
  std::vector<bool> taken_;
  std::vector<std::vector<Value>> users_;
  std::vector<Group> groups_;
};

// Groups in an order in which each runs after those it reads; the earliest in the graph first.
std::vector<Group> in_order(const Graph& graph, std::vector<Group> groups) {
  std::vector<int> group_of(graph.nodes().size(), -1);
  std::vector<std::vector<Value>> nodes;
  for (const Group& group : groups) {
    nodes.push_back(members(graph, group));
    for (Value v : nodes.back())
      group_of[static_cast<std::size_t>(v.id)] = static_cast<int>(nodes.size() - 1);
  }
  std::vector<std::set<int>> readers(groups.size());
  std::vector<int> waiting(groups.size(), 0);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::set<int> reads;
    for (Value v : nodes[i])
      for (Value in : graph[v].inputs) reads.insert(group_of[static_cast<std::size_t>(in.id)]);
    for (int from : reads)
      if (from >= 0 && from != static_cast<int>(i) &&
          readers[static_cast<std::size_t>(from)].insert(static_cast<int>(i)).second)
        ++waiting[i];
  }
  std::set<std::pair<int, int>> ready;  // (first node, group)
  const auto offer = [&](std::size_t i) { ready.emplace(nodes[i].front().id, static_cast<int>(i)); };
  for (std::size_t i = 0; i < groups.size(); ++i)
    if (waiting[i] == 0) offer(i);
  std::vector<Group> ordered;
  while (!ready.empty()) {
    const auto next = static_cast<std::size_t>(ready.begin()->second);
    ready.erase(ready.begin());
    ordered.push_back(std::move(groups[next]));
    for (int reader : readers[next])
      if (--waiting[static_cast<std::size_t>(reader)] == 0) offer(static_cast<std::size_t>(reader));
  }
  MEDLAR_ASSERT(ordered.size() == groups.size());
  return ordered;
}

struct Members {
  const Graph& graph;
  std::vector<Value> nodes;

  void put(Value v) {
    if (v) nodes.push_back(v);
  }
  // Everything from `v` down to `source`, along first inputs.
  void chain(Value v, Value source) {
    for (; v != source; v = graph[v].inputs[0]) put(v);
  }
  void operator()(const Single& s) { put(s.node); }
  void operator()(const NormAdd& n) { put(n.norm), put(n.result); }
  void operator()(const ExpertsAdd& e) { put(e.experts), put(e.result); }
  void operator()(const LinearGroup& l) {
    put(l.norm), put(l.glu);
    for (const auto& out : l.outs) {
      put(out.linear);
      if (out.result != out.linear) put(out.result);
    }
  }
  void operator()(const AttendPrepare& a) {
    chain(a.q_result, a.q);
    chain(a.key_write, a.k);
    chain(a.value_write, a.v);
  }
};

}  // namespace

std::vector<Group> fuse(const Graph& graph, const FusionOptions& options) {
  return in_order(graph, Fuser(graph, options).run());
}

std::vector<Value> members(const Graph& graph, const Group& group) {
  Members m{graph, {}};
  std::visit(m, group);
  std::sort(m.nodes.begin(), m.nodes.end(), [](Value a, Value b) { return a.id < b.id; });
  return std::move(m.nodes);
}

}  // namespace medlar::ir
