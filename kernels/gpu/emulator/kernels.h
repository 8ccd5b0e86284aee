// Every kernel of the catalog as the emulator calls it.
#pragma once

#include <string_view>

#include "kernels/gpu/emulator/bind.h"

namespace medlar::emulator {

// Null: there is none of this name.
const EmulatedKernel* find_kernel(std::string_view name);

// Parts of the catalog, compiled apart.
std::span<const EmulatedKernel> plain_kernels();
std::span<const EmulatedKernel> linear_vec_kernels();
std::span<const EmulatedKernel> linear_few_kernels();
std::span<const EmulatedKernel> linear_one_kernels();
std::span<const EmulatedKernel> linear_tile_kernels();
std::span<const EmulatedKernel> linear_rows_kernels();
std::span<const EmulatedKernel> linear_wgmma_kernels();
std::span<const EmulatedKernel> expert_kernels();
std::span<const EmulatedKernel> attention_kernels();

}  // namespace medlar::emulator
