// A model spread over several devices: each runs some of its layers, one device after the other, and hands
// the residual stream on. The cache of a layer is where the layer is.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.h"

namespace medlar::runtime {

struct Stage {
  std::shared_ptr<Backend> backend;
  std::int64_t layers = 0;
};

// In the order of the layers: the first stage has the embedding as well, the last the head. Programs throw
// Error(unsupported) where a model's layers hand on more than the residual stream.
std::unique_ptr<Backend> make_staged_backend(std::string name, std::vector<Stage> stages);

}  // namespace medlar::runtime
