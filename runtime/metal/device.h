// An Apple GPU as a Device: memory that it shares with the processor, and lists encoded anew for each step.
#pragma once

#include <memory>

#include "runtime/gpu/device.h"

namespace medlar::runtime {

// The system's default GPU. Throws Error(device) outside macOS, and where the GPU is not one of Apple's own.
std::unique_ptr<gpu::Device> make_metal_device();

}  // namespace medlar::runtime
