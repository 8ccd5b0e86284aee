// Compiled kernels on disk, so that only the first start compiles them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/gpu/kernels.h"

namespace medlar::runtime::cuda {

// One file for each text and architecture, named by a hash of both and with the whole text in it:
//   8 bytes "MDLCUB1\n" | u64 bytes of the key | u64 bytes of the cubin | u64 hash of the cubin | key | cubin
// in the machine's byte order; the key is "sm_90\n" and the text. What cannot be read is compiled again, and
// what cannot be written is not kept: the cache never fails. Several processes may use it at once.
class KernelCache {
 public:
  // Empty: nothing is kept.
  explicit KernelCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::optional<std::vector<std::byte>> find(const std::string& text, int capability) const;
  // The files that were used longest ago make room.
  void keep(const std::string& text, int capability, const std::vector<std::byte>& cubin) const;

 private:
  std::filesystem::path file_of(const std::string& key) const;
  void trim() const;

  std::filesystem::path folder_;
};

// Kernels that were compiled together.
struct CompiledKernels {
  std::vector<medlar::gpu::KernelInfo> kernels;
  std::string text;
  std::vector<std::byte> cubin;
  bool kept = false;  // by the cache
};

// All of them, in a few parts that are compiled side by side, or as the cache in `folder` has them. Throws
// what compile() throws.
std::vector<CompiledKernels> compile_parts(std::span<const medlar::gpu::KernelInfo> kernels, int capability,
                                           const std::filesystem::path& folder);

}  // namespace medlar::runtime::cuda
