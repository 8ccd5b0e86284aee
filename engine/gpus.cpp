#include "engine/gpus.h"

#include "base/error.h"
#include "engine/backends.h"

namespace medlar {
namespace {

#if defined(__APPLE__)
constexpr Device kKinds[] = {Device::metal};
#else
constexpr Device kKinds[] = {Device::cuda};
#endif

}  // namespace

std::vector<Gpu> find_gpus() {
  std::vector<Gpu> found;
  Backends backends;
  for (const Device kind : kKinds) {
    Gpu gpu{.device = kind};
    try {
      const runtime::Backend& backend = backends.get({.device = kind}, 1);
      gpu.name = backend.name();
      gpu.memory = backend.memory();
    } catch (const Error& error) {
      gpu.problem = error.what(), gpu.to_do = error.hint();
    }
    found.push_back(std::move(gpu));
  }
  return found;
}

}  // namespace medlar
