// The options of commands that load a model: context, threads, KV types, device.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/device_flags.h"
#include "engine/engine.h"

namespace medlar::cli {

// A type that the KV cache can have; none for "". Throws Error(usage) naming the option.
std::optional<DType> kv_type(std::string_view option, const std::string& name);

// Where compiled kernels of GPUs are kept; empty where there is no home folder.
std::filesystem::path kernel_cache();

// Which settings the user left to Medlar.
struct OpenSettings {
  bool threads = true, batch = true, kv_type = true, gpu_layers = true;
};

struct EngineFlags {
  std::int64_t context = 0;
  int threads = 0;
  int batch = 0;
  std::string kv_type, kv_k, kv_v;
  DeviceFlags device;
  bool exact = false;
  std::vector<std::string> lora;

  void add_to(CLI::App& command);
  // Throws Error(usage) naming the option.
  EngineOptions options() const;
  OpenSettings open() const;
};

}  // namespace medlar::cli
