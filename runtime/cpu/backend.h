// The CPU backend: programs run by a team of threads over one table of kernels.
#pragma once

#include <memory>

#include "base/team.h"
#include "kernels/cpu/table.h"
#include "runtime/backend.h"

namespace medlar::runtime {

// `team` is shared with whoever else computes on this machine; it must outlive the backend's programs.
std::unique_ptr<Backend> make_cpu_backend(std::shared_ptr<Team> team, kernels::CpuTable table);

}  // namespace medlar::runtime
