#include "ir/graph.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "formats/all.h"

namespace medlar::ir {
namespace {

std::string type_string(const ValueType& type) {
  static constexpr std::string_view kRows[] = {"1", "tokens", "logit_rows"};
  std::string s =
      type.storage == Storage::rows ? fmt::format("({}", kRows[static_cast<int>(type.rows)]) : "(";
  for (std::int64_t d : type.shape.dims()) s += fmt::format("{}{}", s == "(" ? "" : ", ", d);
  s += ")";
  if (type.storage == Storage::weight) s += fmt::format(" {}", format_info(type.dtype).name);
  if (type.storage == Storage::state) s += " state";
  return s;
}

}  // namespace

Value Graph::add(Op op, std::vector<Value> inputs) {
  std::vector<ValueType> types;
  for (Value v : inputs) {
    expect(v.id >= 0 && v.id < static_cast<int>(nodes_.size()), op_name(op), "inputs of this graph");
    types.push_back((*this)[v].type);
  }
  ValueType type = std::visit(
      [&](const auto& o) -> ValueType {
        if constexpr (requires { o.infer(types); })
          return o.infer(types);
        else
          MEDLAR_ASSERT(!"leaves are added by weight() and table()");
        return {};
      },
      op);
  nodes_.push_back({std::move(op), std::move(inputs), type});
  return {static_cast<std::int32_t>(nodes_.size() - 1)};
}

Value Graph::weight(std::string name, TensorView tensor) {
  const ValueType type{Storage::weight, RowCount::one, tensor.type, tensor.shape};
  nodes_.push_back({Weight{static_cast<int>(weights_.size())}, {}, type});
  weights_.push_back({std::move(name), tensor});
  return {static_cast<std::int32_t>(nodes_.size() - 1)};
}

Value Graph::table(std::vector<float> values) {
  const ValueType type{Storage::table, RowCount::one, DType::f32, {std::ssize(values)}};
  nodes_.push_back({Table{static_cast<int>(tables_.size())}, {}, type});
  tables_.push_back(std::move(values));
  return {static_cast<std::int32_t>(nodes_.size() - 1)};
}

int Graph::add_kv_group(std::int64_t window) {
  auto it = std::find(group_windows_.begin(), group_windows_.end(), window);
  if (it == group_windows_.end()) {
    if (group_windows_.size() == kernels::kMaxKvGroups)
      fail(ErrorKind::unsupported, "the model has more than {} different attention windows",
           kernels::kMaxKvGroups);
    it = group_windows_.insert(it, window);
  }
  return static_cast<int>(it - group_windows_.begin());
}

int Graph::add_kv_layer(KvLayer layer) {
  layer.group = add_kv_group(layer.window);
  kv_layers_.push_back(layer);
  return static_cast<int>(kv_layers_.size() - 1);
}

void Graph::set_output(Value rows) {
  const ValueType& type = (*this)[rows].type;
  expect(type.storage == Storage::rows && type.rows != RowCount::one, "output", "a row for each token");
  output_ = rows;
}

std::int64_t Graph::weight_bytes() const {
  std::int64_t total = 0;
  for (const NamedTensor& w : weights_)
    total += row_bytes(w.tensor.type, w.tensor.shape.back()) * w.tensor.shape.rows();
  return total;
}

void Graph::verify() const {
  expect(static_cast<bool>(output_), "graph", "an output");
  const std::vector<int> uses = use_counts(*this);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (Value v : nodes_[i].inputs)
      expect(v.id < static_cast<std::int32_t>(i), op_name(nodes_[i].op), "inputs made before it");
    const bool leaf = nodes_[i].type.storage == Storage::weight || nodes_[i].type.storage == Storage::table;
    expect(leaf || uses[i] > 0, op_name(nodes_[i].op), "to be used");
  }
}

std::vector<int> use_counts(const Graph& graph) {
  std::vector<int> uses(graph.nodes().size(), 0);
  for (const Node& node : graph.nodes())
    for (Value v : node.inputs) ++uses[static_cast<std::size_t>(v.id)];
  if (graph.output()) ++uses[static_cast<std::size_t>(graph.output().id)];
  return uses;
}

std::string_view op_name(const Op& op) {
  return std::visit([](const auto& o) { return o.name; }, op);
}

std::string to_string(const Graph& graph) {
  std::string text;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    text += fmt::format("%{} = {}", i, op_name(node.op));
    for (std::size_t j = 0; j < node.inputs.size(); ++j)
      text += fmt::format("{} %{}", j ? "," : "", node.inputs[j].id);
    if (const auto* w = std::get_if<Weight>(&node.op))
      text += " " + graph.weights()[static_cast<std::size_t>(w->index)].name;
    text += " : " + type_string(node.type) + "\n";
  }
  return text;
}

}  // namespace medlar::ir
