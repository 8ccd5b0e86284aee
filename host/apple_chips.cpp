#include "host/apple_chips.h"

namespace medlar::host {
namespace {

using enum ChipVariant;

// As in Apple's technical specifications. The faster class of CPU cores counts as performance cores, whatever
// it is called.
constexpr AppleChip kChips[] = {
    {1, base, 4, 4, 7, 68.3, {8, 16}},
    {1, base, 4, 4, 8, 68.3, {8, 16}},
    {1, pro, 6, 2, 14, 200, {16, 32}},
    {1, pro, 8, 2, 16, 200, {16, 32}},
    {1, max, 8, 2, 24, 400, {32, 64}},
    {1, max, 8, 2, 32, 400, {32, 64}},
    {1, ultra, 16, 4, 48, 800, {64, 128}},
    {1, ultra, 16, 4, 64, 800, {64, 128}},

    {2, base, 4, 4, 8, 100, {8, 16, 24}},
    {2, base, 4, 4, 10, 100, {8, 16, 24}},
    {2, pro, 6, 4, 16, 200, {16, 32}},
    {2, pro, 8, 4, 19, 200, {16, 32}},
    {2, max, 8, 4, 30, 400, {32, 64}},
    {2, max, 8, 4, 38, 400, {32, 64, 96}},
    {2, ultra, 16, 8, 60, 800, {64, 128, 192}},
    {2, ultra, 16, 8, 76, 800, {64, 128, 192}},

    {3, base, 4, 4, 8, 100, {8, 16, 24}},
    {3, base, 4, 4, 10, 100, {8, 16, 24}},
    {3, pro, 5, 6, 14, 150, {18, 36}},
    {3, pro, 6, 6, 18, 150, {18, 36}},
    {3, max, 10, 4, 30, 300, {36, 96}},
    {3, max, 12, 4, 40, 400, {48, 64, 128}},
    {3, ultra, 20, 8, 60, 819, {96, 256}},
    {3, ultra, 24, 8, 80, 819, {96, 256, 512}},

    {4, base, 4, 4, 8, 120, {16, 24}},
    {4, base, 4, 6, 10, 120, {16, 24, 32}},
    {4, pro, 8, 4, 16, 273, {24, 48, 64}},
    {4, pro, 10, 4, 20, 273, {24, 48, 64}},
    {4, max, 10, 4, 32, 410, {36}},
    {4, max, 12, 4, 40, 546, {48, 64, 128}},

    {5, base, 4, 6, 8, 153, {16, 24, 32}},
    {5, base, 4, 6, 10, 153, {16, 24, 32}},
    {5, pro, 5, 10, 16, 307, {24, 48}},
    {5, pro, 6, 12, 20, 307, {24, 48, 64}},
    {5, max, 6, 12, 32, 460, {36}},
    {5, max, 6, 12, 40, 614, {48, 64, 128}},
};

}  // namespace

std::string_view name(ChipVariant variant) {
  static constexpr std::string_view kNames[] = {"", "Pro", "Max", "Ultra"};
  return kNames[static_cast<int>(variant)];
}

std::span<const AppleChip> apple_chips() { return kChips; }

std::uint64_t gpu_working_set(std::uint64_t memory_bytes) {
  constexpr std::uint64_t kSmall = std::uint64_t{36} << 30;
  return memory_bytes <= kSmall ? memory_bytes / 3 * 2 : memory_bytes / 4 * 3;
}

}  // namespace medlar::host
