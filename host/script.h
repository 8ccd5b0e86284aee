// Signals from a list instead of a machine: for tests, simulations, and servers that are driven by a script.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "host/signals.h"

namespace medlar::host {

struct ScriptedSignal {
  Duration at{};  // after the start
  Signal signal;
};
using Script = std::vector<ScriptedSignal>;  // by time

// One signal a line, its time in seconds first; what is after '#' is ignored:
//   0.5  memory warning            or  normal, critical
//   0.5  memory critical for 3     said again every 0.25 s until 3.5
//   2    heat serious 92 95        degrees now and where the processor slows down may follow
//   4    power battery 0.43        or  mains; the charge may be left out
//   5    power battery low         Low Power Mode; a charge may follow
// Throws Error(bad_file) naming `source` and the line.
Script parse_script(std::string_view text, std::string_view source);
// Throws also Error: io, not_found.
Script read_script(const std::filesystem::path& path);

// Tells each signal when its time has come after `start`.
std::unique_ptr<Source> make_scripted(const Script& script, Time start);

}  // namespace medlar::host
