// The emulator as a backend: a program runs on a GPU thread group made of fibers. For tests and debugging.
#pragma once

#include <memory>

#include "kernels/gpu/emulator/machine.h"
#include "runtime/backend.h"
#include "runtime/gpu/lower.h"

namespace medlar::runtime {

struct EmulatorOptions {
  emulator::MachineOptions machine;
  gpu::LowerOptions tuning = {.bytes = true, .lane_rows = 64, .cores = 3};
};

std::unique_ptr<Backend> make_emulator_backend(const EmulatorOptions& options = {});

}  // namespace medlar::runtime
