// The option --memory-limit, and loading within it.
#pragma once

#include <CLI/CLI.hpp>
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
  // The options with which the request's model fits into the limit; says on `console` what was reduced.
  // Throws what host::admit() throws.
  EngineOptions admit(host::AdmissionRequest request, const Console& console) const;
};

}  // namespace medlar::cli
