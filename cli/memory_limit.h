// The option --memory-limit, and loading within it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/console.h"
#include "host/admission.h"

namespace medlar::cli {

struct MemoryFlag {
  std::string limit;

  void add_to(CLI::App& command);
  bool given() const { return !limit.empty(); }
  // What the machine can spare, if not given. Throws Error(usage) on what is no size.
  host::Limit value() const;
  // Loads the request's model with options that fit into the limit, beside what its ledger holds already;
  // says on `console` what was reduced. Throws what host::admit() and Engine::load() throw.
  struct Loaded {
    std::shared_ptr<Engine> engine;
    EngineOptions options;
  };
  Loaded load(host::AdmissionRequest request, const Console& console) const;
};

}  // namespace medlar::cli
