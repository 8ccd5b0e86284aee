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
    int count = 1;
    for (int number = 0; number < count; ++number) {
      Gpu gpu{.device = kind};
      try {
        count = backends.count(kind);
        const auto backend = backends.get(kind, {}, number);
        gpu.name = backend->name();
        gpu.memory = backend->memory();
      } catch (const Error& error) {
        gpu.problem = error.what(), gpu.to_do = error.hint();
      }
      found.push_back(std::move(gpu));
    }
  }
  return found;
}

}  // namespace medlar
