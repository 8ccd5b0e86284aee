#include "engine/backends.h"

#include <cstdlib>

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

std::unique_ptr<runtime::Backend> make(Device device, const Processor& processor, int number) {
  switch (device) {
    case Device::cuda:
      return runtime::make_cuda_backend(number);
    case Device::metal:
      return runtime::make_metal_backend();
    case Device::emulator:
      return runtime::make_emulator_backend();
    case Device::automatic:
    case Device::cpu:
      break;
  }
  return runtime::make_cpu_backend(
      processor.team ? processor.team : std::make_shared<Team>(TeamOptions{.threads = processor.threads}),
      best_table());
}

}  // namespace

std::shared_ptr<runtime::Backend> Backends::get(Device device, const Processor& processor, int number) {
  MEDLAR_ASSERT(device != Device::automatic);
  const int threads = device == Device::cpu ? processor.threads : 0;
  for (const Entry& e : entries_)
    if (e.device == device && e.number == number && e.threads == threads) return e.backend;
  std::erase_if(entries_, [&](const Entry& e) {  // with other threads
    return e.device == device && e.number == number;
  });
  entries_.push_back({device, number, threads, make(device, processor, number)});
  return entries_.back().backend;
}

int Backends::count(Device device) {
  constexpr int kEmulators = 8;  // as many as a machine of GPUs has
  return device == Device::cuda ? runtime::cuda_device_count() : device == Device::emulator ? kEmulators : 1;
}

std::vector<Device> Backends::automatic() {
  std::vector<Device> devices;
  for (const Device device : kAutomatic) {
    if (unavailable_.contains(device)) continue;
    try {
      get(device);
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
