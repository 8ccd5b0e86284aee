// The options that say where a model runs: device, layers on the GPU, GPUs.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "engine/engine.h"

namespace medlar::cli {

struct DeviceFlags {
  std::string device = "auto", gpu_layers = "auto";
  int gpus = 0;

  void add_to(CLI::App& command);
  // Throws Error(usage) naming the option.
  void apply(EngineOptions& options) const;
  // Whether the user left open which layers are on GPUs.
  bool is_open() const { return gpu_layers == "auto" && gpus == 0; }
};

}  // namespace medlar::cli
