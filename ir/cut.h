// Cutting a graph into parts that run one after the other. Between two layers of a decoder a single value
// goes on, the residual stream, so a part has one input and one result.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ir/graph.h"

namespace medlar::ir {

// What `result` follows from, as a graph of its own with this output. `received`, if there is one, is rows
// that are given to it (ir::Received) instead of what made them. Layers of the cache are numbered anew, and
// groups of them are those of `graph`.
Graph extract(const Graph& graph, Value result, Value received = {});

// What goes on into each layer and, last, out of the last one: one more than there are layers. Throws
// Error(unsupported) where more than one value does.
std::vector<Value> layer_borders(const Graph& graph);

// Parts of so many layers each, all of them together. The first has the embedding as well, the last the head.
std::vector<Graph> cut(const Graph& graph, std::span<const std::int64_t> layers);

// The graph's ir::Received, or none.
Value received(const Graph& graph);

}  // namespace medlar::ir
