#include "tune/sensors.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <string_view>

#include "base/system_text.h"

namespace medlar::tune {
namespace {

namespace fs = std::filesystem;
using sysfs::entries;
using sysfs::read_word;

// Sensors of processors, by what their drivers call themselves.
constexpr std::array<std::string_view, 4> kHwmonNames = {"coretemp", "k10temp", "zenpower", "cpu_thermal"};
constexpr std::array<std::string_view, 4> kZoneWords = {"cpu", "pkg", "soc", "tctl"};
// Below and above lie broken sensors.
constexpr double kColdest = -40, kHottest = 150;

std::optional<double> read_number(const fs::path& path) {
  double value = 0;
  std::ifstream file(path);
  if (!(file >> value)) return std::nullopt;
  return value;
}

void raise(std::optional<double>& highest, std::optional<double> value) {
  if (value && (!highest || *value > *highest)) highest = value;
}

// The kernel counts in thousandths of a degree.
std::optional<double> read_celsius(const fs::path& path) {
  std::optional<double> value = read_number(path);
  if (value) *value /= 1000;
  return value && *value > kColdest && *value < kHottest ? value : std::nullopt;
}

std::optional<double> hottest(const fs::path& root) {
  std::optional<double> highest;
  for (const fs::path& chip : entries(root / "sys/class/hwmon")) {
    if (std::ranges::find(kHwmonNames, read_word(chip / "name")) == kHwmonNames.end()) continue;
    for (const fs::path& file : entries(chip)) {
      const std::string name = file.filename().string();
      if (name.starts_with("temp") && name.ends_with("_input")) raise(highest, read_celsius(file));
    }
  }
  for (const fs::path& zone : entries(root / "sys/class/thermal")) {
    const std::string type = read_word(zone / "type");
    const auto named = [&](std::string_view word) { return type.find(word) != type.npos; };
    if (std::ranges::any_of(kZoneWords, named)) raise(highest, read_celsius(zone / "temp"));
  }
  return highest;
}

std::optional<double> fastest(const fs::path& root) {
  std::optional<double> highest;  // kHz
  for (const fs::path& policy : entries(root / "sys/devices/system/cpu/cpufreq"))
    raise(highest, read_number(policy / "scaling_cur_freq"));
  if (highest) *highest /= 1000;
  return highest && *highest > 0 ? highest : std::nullopt;
}

}  // namespace

SensorReading read_sensors(const fs::path& root) {
  return {.celsius = hottest(root), .megahertz = fastest(root)};
}

}  // namespace medlar::tune
