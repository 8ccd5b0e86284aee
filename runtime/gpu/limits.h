// What a GPU does at most, measured (peak.h, peak_wgmma.h).
#pragma once

#include <filesystem>
#include <optional>

#include "runtime/backend.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime::gpu {

struct LimitOptions {
  bool wgmma = false;                  // the device has the matrix unit of linear_wgmma.h
  std::filesystem::path kernel_cache;  // as of ProgramOptions
};

// Takes up to a gigabyte of the device's memory for a moment, and a tenth of a second. None where the device
// tells no times, or has too little memory left.
std::optional<DeviceLimits> measure_limits(Device& device, const LimitOptions& options);

}  // namespace medlar::runtime::gpu
