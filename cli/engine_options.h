// The options of commands that load a model: context, threads, KV types, device.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "engine/engine.h"

namespace medlar::cli {

struct EngineFlags {
  std::int64_t context = 0;
  int threads = 0;
  std::string kv_k, kv_v;
  std::string device = "auto";
  bool exact = false;

  void add_to(CLI::App& command);
  // Throws Error(usage) naming the option.
  EngineOptions options() const;
};

}  // namespace medlar::cli
