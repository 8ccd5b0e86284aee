// Admission: options that fit into a limit, before anything is loaded.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "host/configurations.h"
#include "host/machine.h"

namespace medlar::host {

// How much memory the process may take.
struct Limit {
  std::int64_t bytes = 0;
  std::string reason;  // "what the machine can spare now"
};

// What is to be loaded. A setting the user chose is kept; the others may be reduced.
struct AdmissionRequest {
  std::filesystem::path path;
  std::string reference;  // how the user calls the model
  EngineOptions options;  // context 0 and types that are not set may be chosen
  bool parallel_is_open = false;
  bool may_reduce = true;  // false: all that is left open is as large as it would be with room to spare
  Limit limit;
};

struct Admission {
  EngineOptions options;   // to load with
  std::string note;        // one line of what was reduced and why; empty: nothing
  std::int64_t bytes = 0;  // that it will take at most
  Planner model;           // the file, open

  std::shared_ptr<Engine> load() && { return std::move(model).load(options); }
};

// Leaves options that fit as they are. Throws Error(out_of_memory) with the nearest configurations when
// nothing fits, and what Planner throws.
Admission admit(const AdmissionRequest& request);

// "8.1 GB"; for messages.
std::string bytes_text(std::int64_t bytes);

}  // namespace medlar::host
