// The emulator as a GPU device: memory is the host's own, and a submitted list has run when submit() returns.
#pragma once

#include <memory>

#include "kernels/gpu/emulator/machine.h"
#include "runtime/gpu/device.h"

namespace medlar::runtime {

std::unique_ptr<gpu::Device> make_emulator_device(const emulator::MachineOptions& options = {});

}  // namespace medlar::runtime
