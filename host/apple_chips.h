// The catalogue of Apple's chips: what a Mac with each has.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace medlar::host {

enum class ChipVariant : std::uint8_t { base, pro, max, ultra };
std::string_view name(ChipVariant variant);  // "", "Pro", "Max", "Ultra"

// One configuration that Apple sells: of a chip with several, each is a row.
struct AppleChip {
  int family = 1;  // M1, M2, ...
  ChipVariant variant = ChipVariant::base;
  int performance_cores = 0, efficiency_cores = 0, gpu_cores = 0;
  double bandwidth = 0;               // of the memory, GB/s as Apple states it
  std::array<int, 4> memory_sizes{};  // GB as Apple counts them (2^30 bytes), ascending; 0: no more
};

// By family, then variant, then cores.
std::span<const AppleChip> apple_chips();

// The share of memory that macOS lets the GPU hold without losing speed (recommendedMaxWorkingSetSize), in
// bytes: two thirds up to 36 GB, three quarters above.
std::uint64_t gpu_working_set(std::uint64_t memory_bytes);

}  // namespace medlar::host
