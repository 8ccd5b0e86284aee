// The backend over an Apple GPU.
#pragma once

#include <memory>

#include "runtime/backend.h"

namespace medlar::runtime {

// Throws Error(device) outside macOS, and where the GPU is not one of Apple's own.
std::unique_ptr<Backend> make_metal_backend();

}  // namespace medlar::runtime
