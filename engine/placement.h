// Which devices run which layers of a model. Internal to engine/.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/backends.h"
#include "engine/engine.h"
#include "ir/graph.h"

namespace medlar {

// What is to be placed.
struct Placing {
  const ir::Graph& graph;
  const runtime::ProgramOptions& program;
  Processor processor;
};

struct Placement {
  // One device's. All of a model's layers, or the first so many run on the processor and the others on GPUs.
  struct Part {
    Device device = Device::cpu;
    int number = 0;  // of the GPU
    std::int64_t layers = 0;
    std::string name;  // as the device calls itself
  };
  std::vector<Part> parts;  // in the order of the layers
  std::shared_ptr<runtime::Backend> backend;

  std::int64_t gpu_layers() const;
  int gpus() const;
  // Whether each device has room for its part.
  bool fits(const Placing& what) const;
};

// Where `options`, whose device is not automatic, put the model: on as few GPUs as hold it unless they name
// a number. Where it does not fit, what would have to. Throws Error(device) where a device cannot be used,
// Error(unsupported) where the model's layers cannot be apart, and with kFittingLayers where a GPU has no
// room for enough of them to gain from it.
Placement place(const Placing& what, const EngineOptions& options, Backends& backends);

// The ways in which `options` can be met here, the best first: one where they name a device. With the last,
// all of the model is on the processor, unless they ask for a GPU.
std::vector<EngineOptions> choices(const EngineOptions& options, Backends& backends);

}  // namespace medlar
