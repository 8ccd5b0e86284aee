// Keeps what was measured beside what is predicted, where this machine is calibrated.
#pragma once

#include <filesystem>
#include <string>

#include "engine/engine.h"
#include "host/speed.h"
#include "host/speed_log.h"

namespace medlar::cli {

struct MeasuredSpeed {
  std::filesystem::path path;  // of the model
  std::string model;           // its name
  EngineOptions options;       // it ran with; nothing left open that matters for speed
  host::SpeedOf of = host::SpeedOf::decode;
  host::Workload workload;
  double tokens_per_second = 0;
};

// Never throws, and does nothing without a calibration: it is only for later.
void record_speed(const MeasuredSpeed& measured) noexcept;

}  // namespace medlar::cli
