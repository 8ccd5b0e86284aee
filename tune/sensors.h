// How warm and how fast the processor is, where the operating system tells.
#pragma once

#include <filesystem>
#include <optional>

namespace medlar::tune {

struct SensorReading {
  std::optional<double> celsius;    // of the processor's warmest part
  std::optional<double> megahertz;  // of its fastest core at this moment

  friend bool operator==(const SensorReading&, const SensorReading&) = default;
};

// Linux: sys/class/hwmon, sys/class/thermal and sys/devices/system/cpu/cpufreq under `root`, which is "/" or
// a copy for tests. Sensors of disks, radios and batteries are not the processor's and are left out. What is
// missing or odd is absent from the reading; nothing is thrown. Elsewhere both are absent.
SensorReading read_sensors(const std::filesystem::path& root = "/");

}  // namespace medlar::tune
