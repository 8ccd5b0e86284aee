// From a model file to a graph, through the list of architectures.
#pragma once

#include <span>
#include <string_view>

#include "checkpoint/gguf.h"
#include "ir/graph.h"
#include "models/adapter.h"
#include "models/config.h"

namespace medlar::models {

// What a graph is built from: a file, which must outlive it; how many tokens a sequence will have at most; 0:
// as many as the model knows; and adapters, which must outlive it too.
struct Source {
  const gguf::File& file;
  std::int64_t context = 0;
  std::span<const Adapter> adapters = {};
};

struct Model {
  ir::Graph graph;
  DecoderConfig config;
  // It reads whole texts, each token seeing those behind it as well: its output is hidden states, not logits.
  bool encoder = false;
};

struct Architecture {
  std::string_view name;  // general.architecture
  std::string_view title;
  Model (*build)(const Source& source);
};

// Every architecture that runs; models/all.h is the one list.
std::span<const Architecture> architectures();

// Builds the forward pass of the file's architecture. Throws
// Error(unsupported) naming an architecture that is not known, and Error(bad_file) naming the key or tensor
// that is wrong.
Model build(const Source& source);

}  // namespace medlar::models
