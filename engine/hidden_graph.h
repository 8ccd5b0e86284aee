// A model's graph without its head: what it says of a token instead of what it says next.
#pragma once

#include "models/model.h"

namespace medlar {

// The nodes that the head's input needs; the result gives that input, the hidden states after the final norm
// (logit_rows, dim); of an encoder all of it. Throws Error(unsupported) for a graph that does not end in a
// matrix over the vocabulary.
ir::Graph hidden_graph(const models::Model& model);

}  // namespace medlar
