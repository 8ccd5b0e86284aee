// The options of commands that write text: limits, sampling, stop strings.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace medlar::cli {

struct GenerationFlags {
  std::int64_t max_tokens = -1;
  SamplerOptions sampler;
  std::vector<std::string> stop;

  // The result points to this, which must outlive the command.
  void add_to(CLI::App& command);
  // Throws Error(usage) naming the option.
  GenerateOptions options() const;

 private:
  CLI::Option* seed_ = nullptr;
};

}  // namespace medlar::cli
