// The backend over an NVIDIA GPU.
#pragma once

#include <memory>

#include "runtime/backend.h"

namespace medlar::runtime {

// The GPU of this number. Throws Error(device) where there is none of NVIDIA's, or its driver or NVRTC is
// missing or too old.
std::unique_ptr<Backend> make_cuda_backend(int number = 0);
// How many there are. Throws Error(device) where there is no driver or it is too old.
int cuda_device_count();

}  // namespace medlar::runtime
