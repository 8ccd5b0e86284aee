// What medlar analyze measured beside what was planned: tables, JSON, and a picture.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "host/configurations.h"
#include "host/memory.h"
#include "tune/memory_watch.h"
#include "tune/plot.h"

namespace medlar::cli {

// One context.
struct ContextAnalysis {
  EngineOptions options;  // nothing left open
  host::MemoryNeed need;
  std::vector<host::Configuration> alternatives;  // where it does not fit; then nothing below was measured
  bool fits = true;
  tune::MemoryWatch::Extent peak, mean;
  std::vector<tune::MemorySample> samples;
};

// Bytes of each tune::MemoryPart that were planned.
std::array<std::int64_t, tune::kMemoryParts> planned_parts(const host::MemoryNeed& need);

boost::json::object to_json(const ContextAnalysis& analysis);
std::string to_text(const std::string& model, const ContextAnalysis& analysis);

// A panel for each part, the contexts one after the other.
tune::Plot memory_plot(const std::string& model, const std::vector<ContextAnalysis>& analyses);

}  // namespace medlar::cli
