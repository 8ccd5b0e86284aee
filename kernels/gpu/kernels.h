// What GPU kernels exist, and their text for a GPU.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace medlar::gpu {

struct KernelInfo {
  std::string_view name;           // "linear_vec_q4_k_1"
  std::string_view file;           // where it is defined, from the repository's root
  std::string_view instance;       // the text that defines it after `file`; empty: the file does
  std::uint32_t threads;           // a threadgroup
  std::uint32_t shared_bytes = 0;  // of threadgroup memory beside its arrays (TGRING, TGLARGE)
};

std::span<const KernelInfo> kernels();

// Null: there is none of this name.
const KernelInfo* find_kernel(std::string_view name);

// The kernels as one self-contained text in the dialect that the GPU's own compiler selects: prelude,
// formats, kernels, with every include of ours expanded once. What newLibraryWithSource and NVRTC get.
std::string kernel_text(std::span<const KernelInfo> kernels);

}  // namespace medlar::gpu
