#include "ir/cut.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/error.h"

namespace medlar::ir {
namespace {

std::size_t index(Value v) { return static_cast<std::size_t>(v.id); }

std::vector<bool> needed_for(const Graph& graph, Value result, Value received) {
  std::vector<bool> needed(graph.nodes().size(), false);
  needed[index(result)] = true;
  for (std::size_t i = graph.nodes().size(); i-- > 0;)
    if (needed[i] && static_cast<int>(i) != received.id)
      for (const Value input : graph.nodes()[i].inputs) needed[index(input)] = true;
  return needed;
}

// Adds nodes of one graph to another.
class Copier {
 public:
  Copier(const Graph& from, Graph& to) : from_(from), to_(to), place_(from.nodes().size()) {
    for (const std::int64_t window : from.group_windows()) to_.add_kv_group(window);
  }

  Value operator[](Value v) const { return place_[index(v)]; }
  void receive(Value v) { place_[index(v)] = to_.add(Received{from_[v].type}); }
  void copy(Value v) {
    place_[index(v)] = std::visit([&](const auto& op) { return made(v, op); }, from_[v].op);
  }

 private:
  Value made(Value, const Weight& weight) {
    const NamedTensor& named = from_.weights()[static_cast<std::size_t>(weight.index)];
    return to_.weight(named.name, named.tensor);
  }
  Value made(Value, const Table& table) {
    return to_.table(from_.tables()[static_cast<std::size_t>(table.index)]);
  }
  Value made(Value v, KvWrite write) { return write.layer = layer(write.layer), to_.add(write, inputs(v)); }
  Value made(Value v, Attention attention) {
    return attention.layer = layer(attention.layer), to_.add(attention, inputs(v));
  }
  Value made(Value v, ShortConv conv) { return conv.layer = layer(conv.layer), to_.add(conv, inputs(v)); }
  Value made(Value v, Scan scan) { return scan.layer = layer(scan.layer), to_.add(scan, inputs(v)); }
  template <class Op>
  Value made(Value v, const Op& op) {
    return to_.add(op, inputs(v));
  }

  std::vector<Value> inputs(Value v) const {
    std::vector<Value> all;
    for (const Value input : from_[v].inputs) all.push_back((*this)[input]);
    return all;
  }
  int layer(int known) {
    const auto [place, is_new] = layers_.try_emplace(known);
    if (is_new) place->second = to_.add_kv_layer(from_.kv_layers()[static_cast<std::size_t>(known)]);
    return place->second;
  }

  const Graph& from_;
  Graph& to_;
  std::vector<Value> place_;
  std::map<int, int> layers_;
};

// After each node, the only value that later nodes read, weights and constants apart; none where it is not
// one, or no rows of tokens.
std::vector<Value> single_values(const Graph& graph) {
  std::vector<std::size_t> last_use(graph.nodes().size(), 0);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i)
    for (const Value input : graph.nodes()[i].inputs) last_use[index(input)] = i;
  std::vector<Value> singles(graph.nodes().size()), live;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    std::erase_if(live, [&](Value v) { return last_use[index(v)] <= i; });
    const Value made{static_cast<std::int32_t>(i)};
    const Storage storage = graph[made].type.storage;
    if (storage == Storage::rows || storage == Storage::state) live.push_back(made);
    if (live.size() == 1 && graph[live[0]].type.storage == Storage::rows &&
        graph[live[0]].type.rows == RowCount::tokens)
      singles[i] = live[0];
  }
  return singles;
}

// Which layer's cache the operation uses; -1: none.
int cached_layer(const Op& op) {
  if (const auto* write = std::get_if<KvWrite>(&op)) return write->layer;
  if (const auto* conv = std::get_if<ShortConv>(&op)) return conv->layer;
  if (const auto* scan = std::get_if<Scan>(&op)) return scan->layer;
  return -1;
}

[[noreturn]] void cannot_be_cut() {
  throw Error(ErrorKind::unsupported, "this model's layers cannot be run on different devices",
              "run all of it on one: leave out --gpus, and --gpu-layers but for 0");
}

}  // namespace

Graph extract(const Graph& graph, Value result, Value received) {
  const std::vector<bool> needed = needed_for(graph, result, received);
  Graph part;
  Copier copier(graph, part);
  for (std::size_t i = 0; i < needed.size(); ++i) {
    const Value v{static_cast<std::int32_t>(i)};
    if (!needed[i]) continue;
    if (v == received)
      copier.receive(v);
    else
      copier.copy(v);
  }
  part.set_output(copier[result]);
  part.verify();
  return part;
}

std::vector<Value> layer_borders(const Graph& graph) {
  const std::vector<Value> singles = single_values(graph);
  std::vector<Value> borders;
  Value latest;
  for (std::size_t i = 0; i < singles.size(); ++i) {
    if (cached_layer(graph.nodes()[i].op) == std::ssize(borders)) {
      if (!latest || (!borders.empty() && borders.back() == latest)) cannot_be_cut();
      borders.push_back(latest);
    }
    if (singles[i]) latest = singles[i];
  }
  if (borders.empty() || std::ssize(borders) != std::ssize(graph.kv_layers()) || borders.back() == latest)
    cannot_be_cut();
  borders.push_back(latest);
  return borders;
}

std::vector<Graph> cut(const Graph& graph, std::span<const std::int64_t> layers) {
  const std::vector<Value> borders = layer_borders(graph);
  std::vector<Graph> parts;
  std::int64_t layer = 0;
  Value before;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    layer += layers[i];
    MEDLAR_ASSERT(layer < std::ssize(borders));
    const Value result = i + 1 < layers.size() ? borders[static_cast<std::size_t>(layer)] : graph.output();
    parts.push_back(extract(graph, result, before));
    before = result;
  }
  MEDLAR_ASSERT(layer + 1 == std::ssize(borders));
  return parts;
}

Value received(const Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes().size(); ++i)
    if (std::holds_alternative<Received>(graph.nodes()[i].op)) return {static_cast<std::int32_t>(i)};
  return {};
}

}  // namespace medlar::ir
