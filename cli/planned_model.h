// The model that a plan is for: one that is here, one of the catalogue that is not, or a mere shape.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "store/store.h"
#include "tune/synth_file.h"

namespace medlar::cli {

struct PlannedModel {
  std::string name;  // to show
  std::filesystem::path path;
  std::string note;  // where the plan is not of the model's own file; empty: it is

  // Keep `path` there.
  std::vector<store::FileLock> in_use;
  std::shared_ptr<tune::SynthFile> shape;
};

// `reference` is as everywhere, or "synthetic:SHAPE:TYPE". Throws Error(not_found) saying what to pull.
PlannedModel planned_model(const std::string& reference);

}  // namespace medlar::cli
