// What Linux's /proc, /sys and control groups say about memory, heat and power at this moment.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "host/signals.h"

namespace medlar::host {

// `root` is "/" or a copy for tests. Nothing is thrown: what is missing or odd is absent.

// Memory that could be had without swapping, the least of the machine's and of the groups' with a limit.
// Pages of files count as free, for the kernel takes them first.
struct FreeMemory {
  double share = 1;  // of the whole, or of 32 GiB where there is more
  std::uint64_t bytes = 0;
};
std::optional<FreeMemory> free_memory(const std::filesystem::path& root);

// Whether a group of this process has a limit of its own.
bool has_memory_limit(const std::filesystem::path& root);

struct HeatLevels {
  double margin_fair = 15, margin_serious = 2;  // degrees below the limit
  double margin_critical = 5;                   // degrees above it
};
// From tune/sensors.h and the trip points of the thermal zones; nullopt: no temperature.
std::optional<ThermalSignal> read_heat(const std::filesystem::path& root, const HeatLevels& levels = {});

// From power_supply, the firmware's platform_profile and what power-profiles-daemon remembers.
PowerSignal read_power(const std::filesystem::path& root);

}  // namespace medlar::host
