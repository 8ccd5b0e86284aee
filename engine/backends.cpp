#include "engine/backends.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/assert.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "kernels/cpu/table.h"
#include "runtime/cpu/backend.h"
#include "runtime/cuda/backend.h"
#include "runtime/emulator/backend.h"
#include "runtime/metal/backend.h"

namespace medlar {
namespace {

// Metal is not among them before it has run on a Mac (docs/apple.md).
constexpr Device kAutomatic[] = {Device::cuda};

kernels::CpuTable best_table() {
  const CpuFeatures features = detect_cpu_features();
  const char* wanted = std::getenv("MEDLAR_CPU");
  return kernels::CpuTable(choose_cpu_level(features, wanted ? wanted : ""), features);
}

std::unique_ptr<runtime::Backend> make(const EngineOptions& options, int threads) {
  switch (options.device) {
    case Device::cuda:
      return runtime::make_cuda_backend();
    case Device::metal:
      return runtime::make_metal_backend();
    case Device::emulator:
      return runtime::make_emulator_backend();
    case Device::automatic:
    case Device::cpu:
      break;
  }
  return runtime::make_cpu_backend(
      options.team ? options.team : std::make_shared<Team>(TeamOptions{.threads = threads}), best_table());
}

}  // namespace

runtime::Backend* Backends::find(Device device, int threads) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& e) {
    return e.device == device && (device != Device::cpu || e.threads == threads);
  });
  if (found == entries_.end()) return nullptr;
  std::rotate(found, found + 1, entries_.end());
  return entries_.back().backend.get();
}

runtime::Backend& Backends::get(const EngineOptions& options, int threads) {
  MEDLAR_ASSERT(options.device != Device::automatic);
  if (runtime::Backend* const known = find(options.device, threads)) return *known;
  std::erase_if(entries_, [&](const Entry& e) { return e.device == options.device; });  // with other threads
  entries_.push_back({options.device, threads, make(options, threads)});
  return *entries_.back().backend;
}

std::unique_ptr<runtime::Backend> Backends::take() && { return std::move(entries_.back().backend); }

std::vector<Device> Backends::automatic() {
  std::vector<Device> devices;
  for (const Device device : kAutomatic) {
    if (unavailable_.contains(device)) continue;
    try {
      get({.device = device}, 1);
      devices.push_back(device);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::device) throw;
      unavailable_.insert(device);
    }
  }
  devices.push_back(Device::cpu);
  return devices;
}

}  // namespace medlar
