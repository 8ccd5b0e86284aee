// Predictions beside what happened, and the correction that follows for the next ones.
#pragma once

#include <filesystem>
#include <string>

#include "host/speed.h"

namespace medlar::host {

enum class SpeedOf { prompt, decode };

struct SpeedRecord {
  std::string machine, model;
  SpeedOf of = SpeedOf::decode;
  double predicted = 0, measured = 0;  // tokens a second; predicted without a correction
};

// Appends a line to speed.jsonl in `folder`, and drops the oldest where there are many. What cannot be
// written is not worth an error.
void log_speed(const std::filesystem::path& folder, const SpeedRecord& record) noexcept;

// The median of measured over predicted of the latest records for a machine, at least three, within a factor
// of four. Lines that cannot be read are passed over.
Correction correction(const std::filesystem::path& folder, const std::string& machine);

}  // namespace medlar::host
