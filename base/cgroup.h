// Where the control groups of this process are mounted, of both versions.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace medlar {

// Where a controller's files for this process are: its directory, and the mount point above which no limit
// of ours is visible.
struct CgroupPlace {
  std::filesystem::path leaf, top;

  // The process's group and those around it, up to the mount point: every one's limit binds.
  std::vector<std::filesystem::path> groups() const;
};

// In the hierarchy of `controller` ("memory", "cpu"), or in the unified one of version 2 when that is empty,
// for the tree under `root`: "/" or a copy for tests.
std::optional<CgroupPlace> find_cgroup(const std::filesystem::path& root, std::string_view controller);

}  // namespace medlar
