#include "host/linux_files.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/cgroup.h"
#include "base/system_text.h"
#include "tune/sensors.h"

namespace medlar::host {
namespace {

namespace fs = std::filesystem;
using sysfs::entries;
using sysfs::field;
using sysfs::leading_number;
using sysfs::read_number;
using sysfs::read_text;
using sysfs::read_word;

// Version 1 says "no limit" by a number near 2^63, version 2 by a word.
constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max() >> 2;
constexpr double kHottest = 150;  // degrees; above and below 0 lie broken trip points

// A share of more says little: 5 GB free is no pressure on a machine with 500.
constexpr std::uint64_t kMuch = std::uint64_t{32} << 30;

FreeMemory free_of(std::uint64_t free, std::uint64_t total) {
  const std::uint64_t whole = std::min(total, kMuch);
  return {.share = whole == 0 ? 0 : std::min(1.0, static_cast<double>(free) / static_cast<double>(whole)),
          .bytes = free};
}

std::uint64_t number_or_zero(std::string_view text, std::string_view key) {
  return leading_number(field(text, key).value_or("0")).value_or(0);
}

struct GroupFiles {
  const char* controller;
  std::vector<const char*> limits;
  const char* usage;
  std::vector<const char*> file_pages;  // keys of memory.stat
};

std::vector<GroupFiles> group_files() {
  return {{"", {"memory.max", "memory.high"}, "memory.current", {"inactive_file ", "active_file "}},
          {"memory",
           {"memory.limit_in_bytes"},
           "memory.usage_in_bytes",
           {"total_inactive_file ", "total_active_file "}}};
}

std::uint64_t group_limit(const fs::path& group, const GroupFiles& files) {
  std::uint64_t limit = kNoLimit;
  for (const char* name : files.limits) limit = std::min(limit, read_number(group / name).value_or(kNoLimit));
  return limit;
}

FreeMemory group_free_memory(const fs::path& group, const GroupFiles& files, std::uint64_t limit) {
  const std::string stat = read_text(group / "memory.stat").value_or("");
  std::uint64_t pages = 0;
  for (const char* key : files.file_pages) pages += number_or_zero(stat, key);
  const std::uint64_t used = read_number(group / files.usage).value_or(0);
  const std::uint64_t held = used - std::min(used, pages);
  return free_of(limit - std::min(limit, held), limit);
}

// Calls visit(group, files, limit) for each group of this process that has a limit.
template <class Visit>
void visit_limits(const fs::path& root, Visit visit) {
  for (const GroupFiles& files : group_files()) {
    const auto place = find_cgroup(root, files.controller);
    if (!place) continue;
    for (const fs::path& group : place->groups()) {
      const std::uint64_t limit = group_limit(group, files);
      if (limit < kNoLimit) visit(group, files, limit);
    }
  }
}

// The lowest temperature at which a zone of the processor is slowed down.
std::optional<double> throttle_limit(const fs::path& root) {
  std::optional<double> lowest;
  const auto lower = [&](std::optional<std::uint64_t> thousandths) {
    if (!thousandths) return;
    const double celsius = static_cast<double>(*thousandths) / 1000;
    if (celsius > 40 && celsius < kHottest && (!lowest || celsius < *lowest)) lowest = celsius;
  };
  for (const fs::path& zone : entries(root / "sys/class/thermal")) {
    const std::string type = read_word(zone / "type");
    constexpr std::string_view kProcessors[] = {"cpu", "pkg", "soc", "tctl"};
    if (std::ranges::none_of(kProcessors, [&](auto word) { return type.find(word) != type.npos; })) continue;
    for (int i = 0; i < 16; ++i) {
      const fs::path trip = zone / ("trip_point_" + std::to_string(i));
      if (read_word(trip.string() + "_type") == "passive") lower(read_number(trip.string() + "_temp"));
    }
  }
  if (lowest) return lowest;
  for (const fs::path& chip : entries(root / "sys/class/hwmon")) {
    if (read_word(chip / "name") == "coretemp") lower(read_number(chip / "temp1_max"));
  }
  return lowest;
}

bool is_system_supply(const fs::path& supply) { return read_word(supply / "scope") != "Device"; }

bool saves_power(const fs::path& root) {
  if (read_word(root / "sys/firmware/acpi/platform_profile") == "low-power") return true;
  const std::string state = read_text(root / "var/lib/power-profiles-daemon/state.ini").value_or("");
  return field(state, "Profile=").value_or("") == "power-saver";
}

}  // namespace

std::optional<FreeMemory> free_memory(const fs::path& root) {
  const std::string memory = read_text(root / "proc/meminfo").value_or("");
  std::optional<FreeMemory> least;
  const auto lower = [&](const FreeMemory& free) {
    if (!least) least = free;
    least = {.share = std::min(least->share, free.share), .bytes = std::min(least->bytes, free.bytes)};
  };
  constexpr std::uint64_t kKilo = 1024;
  const std::uint64_t total = number_or_zero(memory, "MemTotal:");
  if (total > 0 && field(memory, "MemAvailable:"))
    lower(free_of(number_or_zero(memory, "MemAvailable:") * kKilo, total * kKilo));
  visit_limits(root, [&](const fs::path& group, const GroupFiles& files, std::uint64_t limit) {
    lower(group_free_memory(group, files, limit));
  });
  return least;
}

bool has_memory_limit(const fs::path& root) {
  bool found = false;
  visit_limits(root, [&](const fs::path&, const GroupFiles&, std::uint64_t) { found = true; });
  return found;
}

std::optional<ThermalSignal> read_heat(const fs::path& root, const HeatLevels& levels) {
  ThermalSignal heat{.celsius = tune::read_sensors(root).celsius, .limit = throttle_limit(root)};
  if (!heat.celsius) return std::nullopt;
  constexpr double kUsualLimit = 95;
  const double below = heat.limit.value_or(kUsualLimit) - *heat.celsius;
  heat.state = below < -levels.margin_critical ? ThermalState::critical
               : below < levels.margin_serious ? ThermalState::serious
               : below < levels.margin_fair    ? ThermalState::fair
                                               : ThermalState::nominal;
  return heat;
}

PowerSignal read_power(const fs::path& root) {
  PowerSignal power{.low_power = saves_power(root)};
  bool adapter = false, adapter_online = false, battery = false, discharging = false;
  double charge = 0;
  int charges = 0;
  for (const fs::path& supply : entries(root / "sys/class/power_supply")) {
    if (!is_system_supply(supply)) continue;
    const std::string type = read_word(supply / "type");
    if (type == "Mains" || type == "USB") {
      adapter = true;
      adapter_online = adapter_online || read_number(supply / "online").value_or(0) > 0;
    } else if (type == "Battery") {
      battery = true;
      const auto percent = read_number(supply / "capacity");
      discharging = discharging || read_word(supply / "status") == "Discharging";
      if (!percent) continue;
      charge += static_cast<double>(std::min<std::uint64_t>(*percent, 100)) / 100;
      ++charges;
    }
  }
  if (charges > 0) power.charge = charge / charges;
  power.mains = !battery || adapter_online || (!adapter && !discharging);
  return power;
}

}  // namespace medlar::host
