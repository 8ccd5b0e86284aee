// The settings that medlar tune found, for what the user left open.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

#include "cli/console.h"
#include "cli/engine_options.h"
#include "host/admission.h"
#include "tune/search.h"

namespace medlar::cli {

struct TunedFlag {
  bool ignored = false;  // --no-tuned

  void add_to(CLI::App& command);

  struct Model {
    std::filesystem::path path;
    OpenSettings open;
    host::Limit limit;
  };
  // `options` with what is kept for the model on this machine; one line on `console` says so, or why what is
  // kept cannot be read. A batch, a cache type and layers on a GPU with which the model does not fit are not
  // taken: what to reduce is then for admission to say.
  EngineOptions apply(EngineOptions options, const Model& model, const Console& console) const;
};

// "8 threads, 256 tokens at once, f16 keys and values, 20 layers on the GPU"
std::string settings_text(const tune::Settings& settings);

}  // namespace medlar::cli
