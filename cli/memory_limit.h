// The option --memory-limit, and loading within it.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/console.h"
#include "host/admission.h"
#include "host/lease.h"

namespace medlar::cli {

// A program that loads one model.
struct Program {
  std::filesystem::path home;  // MEDLAR_HOME
  std::string name;
};

struct MemoryFlag {
  std::string limit;

  void add_to(CLI::App& command);
  bool given() const { return !limit.empty(); }
  // What the machine can spare, if not given. Throws Error(usage) on what is no size.
  host::Limit value() const;
  // Of it, what `options.ledger` does not hold yet.
  host::Limit room(const EngineOptions& options) const;
  // This process's part of the memory that the programs of a home share, within the limit.
  std::shared_ptr<host::MemoryLease> join(host::MemoryLeaseOptions options) const;
  // Loads the request's model with options that fit into the limit and the lease's share, beside what its
  // ledger holds already; says on `console` what was reduced. The engine keeps the lease. Throws what
  // host::admit() and Engine::load() throw.
  struct Loaded {
    std::shared_ptr<Engine> engine;
    EngineOptions options;
  };
  Loaded load(host::AdmissionRequest request, const std::shared_ptr<host::MemoryLease>& lease,
              const Console& console) const;
  // The same in a process that loads one model: it joins those that share `home`, as the program `name`.
  Loaded load(host::AdmissionRequest request, const Program& program, const Console& console) const;
};

}  // namespace medlar::cli
