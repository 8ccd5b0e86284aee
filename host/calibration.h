// What this machine can do, measured once and kept.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/host.h"
#include "host/speed.h"

namespace medlar::host {

struct Calibration {
  double read = 0;      // bytes of weights a second that products with one activation row get
  double attend = 0;    // bytes a second that attention of one token gets of cached keys and values
  double products = 0;  // multiplications and additions a second, at best, as quantized weights use them
  double floats = 0;    // the same in f32
  bool tiles = false;   // `products` are a matrix unit's
  bool thorough = false;
};

// The rates at which Medlar runs on such a machine.
Rates rates_of(const Calibration& calibration);

struct CalibrationOptions {
  int threads = 1;
  // Of reading and of products each. A fraction of a second is an estimate; what is shared with other guests
  // needs a minute, of which the median counts.
  double seconds = 0.2;
  std::function<void(double share)> progress;  // of all that is to do
};
Calibration calibrate(const CalibrationOptions& options);

// The machine as far as its speed goes: processor, threads, memory.
std::string machine_identity(const HostInfo& host, int threads);

// From the file calibration.json in `folder`; none where there is none for this machine, or only a file that
// cannot be read.
std::optional<Calibration> load_calibration(const std::filesystem::path& folder, const std::string& machine);
// Replaces the machine's entry and keeps the others. Throws Error(io, no_space).
void save_calibration(const std::filesystem::path& folder, const std::string& machine,
                      const Calibration& calibration);

// The one that is kept, or else an estimate made now, which is kept then.
Calibration known_calibration(const std::filesystem::path& folder, const std::string& machine, int threads);

}  // namespace medlar::host
