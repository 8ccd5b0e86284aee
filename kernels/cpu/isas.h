// The tables compiled into this build: one namespace for each instruction set, all from the same sources.
#pragma once

#include <span>

#include "kernels/table.h"

namespace medlar::kernels {

namespace scalar {
std::span<const KernelEntry> entries();
}
namespace avx2 {
std::span<const KernelEntry> entries();
}
namespace avx2_vnni {
std::span<const KernelEntry> entries();
}
namespace avx512 {
std::span<const KernelEntry> entries();
}
namespace amx {
std::span<const KernelEntry> entries();
}
namespace neon {
std::span<const KernelEntry> entries();
}
namespace neon_i8mm {
std::span<const KernelEntry> entries();
}
namespace accelerate {
std::span<const KernelEntry> entries();
}

}  // namespace medlar::kernels
