// A model's graph without its head: what it says of a token instead of what it says next.
#pragma once

#include "ir/graph.h"

namespace medlar {

// The nodes that the head's input needs; the result gives that input, the hidden states after the final norm
// (logit_rows, dim). Throws Error(unsupported) for a graph that does not end in a matrix over the vocabulary.
ir::Graph hidden_graph(const ir::Graph& graph);

}  // namespace medlar
