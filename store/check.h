// The structural check that files pass before they become a model.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace medlar::store {

struct CheckedModel {
  std::string architecture;  // as the file says; empty: it does not
  std::string problem;       // why this build cannot run it; empty: nothing known
};

// Opens the parts of a model, in order, and reads their directories: metadata, tensor shapes, types, offsets.
// Sound files that need a newer Medlar are reported in `problem`. Throws Error(bad_file) naming `name`
// when they are no sound model, and io.
CheckedModel check_model(std::span<const std::filesystem::path> parts, std::string_view name);

}  // namespace medlar::store
