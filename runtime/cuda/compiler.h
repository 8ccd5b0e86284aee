// Kernels compiled by NVRTC, which is loaded when it is needed.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace medlar::runtime::cuda {

// A cubin of the text for a compute capability (90 for 9.0). Throws Error(device) where NVRTC is missing,
// does not know the capability, or refuses the text, with the beginning of its log.
std::vector<std::byte> compile(const std::string& text, int capability);

}  // namespace medlar::runtime::cuda
