// The backend over an NVIDIA GPU.
#pragma once

#include <memory>

#include "runtime/backend.h"

namespace medlar::runtime {

// Throws Error(device) where there is no GPU of NVIDIA's, or its driver or NVRTC is missing or too old.
std::unique_ptr<Backend> make_cuda_backend();

}  // namespace medlar::runtime
