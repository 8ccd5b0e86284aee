// The GPUs of this machine that models may run on.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

namespace medlar {

struct Gpu {
  Device device = Device::cuda;
  std::string name;  // as it calls itself; empty where it cannot be used
  runtime::DeviceMemory memory;
  std::string problem, to_do;  // why it cannot be used; empty: it can
};

// All of each kind that this system may have, and one that cannot be used where there is none. Takes a
// fraction of a second where there is one.
std::vector<Gpu> find_gpus();

}  // namespace medlar
