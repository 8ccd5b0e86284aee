#include "engine/hidden_graph.h"

#include <vector>

#include "base/error.h"

namespace medlar {
namespace {

using ir::Value;

// Below what only changes the logits' values, as a soft cap does.
Value head_input(const ir::Graph& graph) {
  Value at = graph.output();
  while (graph.get_if<ir::Unary>(at)) at = graph[at].inputs[0];
  if (!graph.get_if<ir::Linear>(at))
    throw Error(ErrorKind::unsupported, "this model's hidden states cannot be told apart from its logits",
                "use another model for embeddings");
  return graph[at].inputs[0];
}

std::vector<bool> needed_for(const ir::Graph& graph, Value result) {
  std::vector<bool> needed(graph.nodes().size(), false);
  needed[static_cast<std::size_t>(result.id)] = true;
  for (std::size_t i = graph.nodes().size(); i-- > 0;)
    if (needed[i])
      for (const Value input : graph.nodes()[i].inputs) needed[static_cast<std::size_t>(input.id)] = true;
  return needed;
}

}  // namespace

ir::Graph hidden_graph(const ir::Graph& graph) {
  const Value hidden = head_input(graph);
  const std::vector<bool> needed = needed_for(graph, hidden);
  ir::Graph result;
  for (const ir::KvLayer& layer : graph.kv_layers()) result.add_kv_layer(layer);
  std::vector<Value> place(graph.nodes().size());
  for (std::size_t i = 0; i < place.size(); ++i) {
    if (!needed[i]) continue;
    const ir::Node& node = graph.nodes()[i];
    if (const auto* weight = std::get_if<ir::Weight>(&node.op)) {
      const ir::NamedTensor& named = graph.weights()[static_cast<std::size_t>(weight->index)];
      place[i] = result.weight(named.name, named.tensor);
    } else if (const auto* table = std::get_if<ir::Table>(&node.op)) {
      place[i] = result.table(graph.tables()[static_cast<std::size_t>(table->index)]);
    } else {
      std::vector<Value> inputs;
      for (const Value input : node.inputs) inputs.push_back(place[static_cast<std::size_t>(input.id)]);
      place[i] = result.add(node.op, std::move(inputs));
    }
  }
  result.set_output(place[static_cast<std::size_t>(hidden.id)]);
  result.verify();
  return result;
}

}  // namespace medlar
