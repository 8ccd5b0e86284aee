#include "base/cgroup.h"

#include <algorithm>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "base/system_text.h"

namespace medlar {
namespace {

namespace fs = std::filesystem;
using sysfs::read_text;
using sysfs::split_blanks;

// Whether `name` is among names with commas between.
bool is_listed(std::string_view name, std::string_view names) {
  return fmt::format(",{},", names).find(fmt::format(",{},", name)) != std::string::npos;
}

// This process's path in the hierarchy of `controller`, or in the unified one when that is empty.
std::optional<std::string> cgroup_path(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const bool match = controller.empty() ? names.empty() : is_listed(controller, names);
    if (match) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

}  // namespace

std::vector<fs::path> CgroupPlace::groups() const {
  constexpr int kDeepest = 64;
  std::vector<fs::path> found;
  fs::path dir = leaf.lexically_normal();
  const fs::path last = top.lexically_normal();
  for (int depth = 0; depth < kDeepest; ++depth) {
    found.push_back(dir);
    if (dir == last || !dir.has_relative_path()) break;
    dir = dir.parent_path();
  }
  return found;
}

// mountinfo (proc(5)): "36 35 98:0 ROOT MOUNTPOINT options ... - TYPE source superoptions". In a container
// ROOT is often the container's own group, so that the path of /proc/self/cgroup continues below it or is
// absent.
std::optional<CgroupPlace> find_cgroup(const fs::path& root, std::string_view controller) {
  const std::string groups = read_text(root / "proc/self/cgroup").value_or("");
  const auto path = cgroup_path(groups, controller);
  if (!path) return std::nullopt;
  const std::string mounts = read_text(root / "proc/self/mountinfo").value_or("");
  std::string_view rest = mounts;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto words = split_blanks(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const auto dash = std::ranges::find(words, "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const std::string_view type = dash[1];
    const bool match =
        controller.empty() ? type == "cgroup2" : type == "cgroup" && is_listed(controller, dash[3]);
    if (!match) continue;
    std::string_view below = *path;
    if (words[3] != "/" && below.starts_with(words[3])) below.remove_prefix(words[3].size());
    const fs::path top = root / fs::path(words[4]).relative_path();
    const fs::path leaf = top / fs::path(below).relative_path();
    std::error_code ec;
    return CgroupPlace{fs::is_directory(leaf, ec) ? leaf : top, top};
  }
  return std::nullopt;
}

}  // namespace medlar
