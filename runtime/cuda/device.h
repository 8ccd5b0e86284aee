// An NVIDIA GPU as a Device: one stream, and lists of dispatches as graphs of the driver's.
#pragma once

#include <memory>

#include "runtime/gpu/device.h"

namespace medlar::runtime {

// The GPU of this number. Throws Error(device) where there is none or its driver is missing or too old.
std::unique_ptr<gpu::Device> make_cuda_device(int number = 0);

}  // namespace medlar::runtime
