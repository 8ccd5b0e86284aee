#include "engine/hidden_graph.h"

#include "base/error.h"
#include "ir/cut.h"

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

}  // namespace

ir::Graph hidden_graph(const models::Model& model) {
  return model.encoder ? model.graph : ir::extract(model.graph, head_input(model.graph));
}

}  // namespace medlar
