// What medlar tune found, for people, as JSON, and as a script that launches the model so.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "tune/request_timer.h"
#include "tune/search.h"

namespace medlar::cli {

struct TuneReport {
  std::string model;      // its name
  std::string reference;  // as the user gave it, or a path that holds everywhere
  std::string machine, machine_key, model_key;
  tune::Request request;
  tune::Settings defaults;
  // Where it is to run, as asked for, and what is kept by (host::TunedEntry).
  Device asked = Device::automatic, device = Device::cpu;
  std::optional<Device> gpu;  // that layers may be on; none: there is none, or none was wanted
  int gpu_layers = 0;         // of the defaults
  std::int64_t context = 0;   // that there had to be memory for
  DType k_type = DType::f32, v_type = DType::f32;  // of the defaults
  tune::SearchResult result;
  bool kept = false;

  bool gained() const { return !(result.best == defaults); }
};

// The members of docs/cli.md.
boost::json::object to_json(const TuneReport& report);
std::string to_text(const TuneReport& report);

// For a POSIX shell: "script run|chat|serve [OPTIONS]", chat if nothing is given.
std::string launch_script(const TuneReport& report);

// The word as a POSIX shell reads it back, whatever is in it.
std::string shell_quoted(std::string_view word);

}  // namespace medlar::cli
