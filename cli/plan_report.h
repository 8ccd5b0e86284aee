// What medlar plan found, for people and as JSON.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/admission.h"
#include "host/memory.h"
#include "host/speed.h"

namespace medlar::cli {

struct PlanReport {
  std::string model;
  std::vector<std::string> notes;
  host::Machine machine;
  host::Limit limit;
  ModelPlan plan;
  host::MemoryNeed need;
  host::Workload workload;
  std::optional<host::Prediction> prediction;     // none: `notes` say why
  std::vector<host::Configuration> alternatives;  // where it does not fit

  bool fits() const { return need.fits(limit.bytes); }
};

// The members of docs/cli.md.
boost::json::object to_json(const PlanReport& report);
std::string to_text(const PlanReport& report);

}  // namespace medlar::cli
