// The backend over any GPU device: programs that are lists of dispatches, one list for each size of step.
#pragma once

#include <memory>

#include "runtime/backend.h"
#include "runtime/gpu/device.h"
#include "runtime/gpu/lower.h"

namespace medlar::runtime::gpu {

std::unique_ptr<Backend> make_backend(std::unique_ptr<Device> device, LowerOptions tuning = {});

}  // namespace medlar::runtime::gpu
