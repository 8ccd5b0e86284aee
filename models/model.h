// From a model file to a graph, through the list of architectures.
#pragma once

#include <span>
#include <string_view>

#include "checkpoint/gguf.h"
#include "ir/graph.h"
#include "models/config.h"

namespace medlar::models {

struct Model {
  ir::Graph graph;
  DecoderConfig config;
};

struct Architecture {
  std::string_view name;  // general.architecture
  std::string_view title;
  Model (*build)(const gguf::File& file);
};

// Every architecture that runs; models/all.cpp is the one list.
std::span<const Architecture> architectures();

// Builds the forward pass of the file's architecture. The file must outlive the graph. Throws
// Error(unsupported) naming an architecture that is not known, and Error(bad_file) naming the key or tensor
// that is wrong.
Model build(const gguf::File& file);

}  // namespace medlar::models
