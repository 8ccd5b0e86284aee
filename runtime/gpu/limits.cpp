#include "runtime/gpu/limits.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "kernels/gpu/params.h"

namespace medlar::runtime::gpu {
namespace {

using medlar::gpu::ProductPeakParams;
using medlar::gpu::ReadPeakParams;

// How much one pass does. A pass takes a millisecond or more, so that starting it does not count, or is the
// largest.
struct Size {
  std::uint32_t groups = 1, rounds = 8;
  int dispatches = 1;
};
constexpr std::chrono::milliseconds kLeastTime{1};
constexpr std::uint32_t kGroupsPerCore = 16;
constexpr std::uint32_t kUnknownCores = 128;
constexpr std::uint32_t kMostReadRounds = 64;  // 1 GB: more than caches hold
constexpr std::uint32_t kMostProductRounds = 4096;
constexpr double kRoundBytes = 512 * 16;  // of a group of read_peak
constexpr int kMostDispatches = 4;
constexpr int kPasses = 7;  // the best counts: the first find the clock low

// A kernel of nothing but products.
struct ProductKernel {
  std::string_view name;
  double round_operations;  // of a group
};
constexpr ProductKernel kTiles{"product_peak", 2.0 * 16 * 16 * 16 * 8 * 8};
constexpr ProductKernel kWgmma{"wgmma_peak", 2.0 * 128 * 256 * 64};

template <class Params>
Dispatch dispatch(Device& device, const KernelInfo& kernel, const Params& params,
                  std::vector<Binding> buffers, std::uint32_t groups) {
  Dispatch d{device.pipeline(kernel),
             std::vector<std::byte>(sizeof params),
             std::move(buffers),
             {groups},
             kernel.threads};
  std::memcpy(d.params.data(), &params, sizeof params);
  return d;
}

// Groups x rounds done a second at best, in passes of up to `most`. make(size): the dispatch of a pass.
template <class Make>
double best_rate(Device& device, const Size& most, Make make) {
  const auto seconds = [&](CommandList& list) {
    return std::chrono::duration<double>(std::max(device.run_timed(list), std::chrono::nanoseconds{1}))
        .count();
  };
  for (Size size;;) {
    std::vector<Dispatch> dispatches;
    for (int i = 0; i < size.dispatches; ++i) dispatches.push_back(make(size));
    const auto list = device.record(std::move(dispatches));
    double least = seconds(*list);
    if (least >= std::chrono::duration<double>(kLeastTime).count() || size.dispatches == kMostDispatches) {
      for (int i = 1; i < kPasses; ++i) least = std::min(least, seconds(*list));
      return static_cast<double>(size.groups) * size.rounds * size.dispatches / least;
    }
    if (size.groups < most.groups)
      size.groups = std::min(size.groups * 4, most.groups);
    else if (size.rounds < most.rounds)
      size.rounds *= 2;
    else
      size.dispatches *= 2;
  }
}

}  // namespace

std::optional<DeviceLimits> measure_limits(Device& device, const LimitOptions& options) {
  if (!device.tells_times()) return std::nullopt;
  const ProductKernel& products = options.wgmma ? kWgmma : kTiles;
  const std::array kernels{medlar::gpu::find_kernel("read_peak"), medlar::gpu::find_kernel(products.name)};
  device.prepare(kernels, options.kernel_cache);
  const auto cores = static_cast<std::uint32_t>(device.cores());
  Size most{.groups = kGroupsPerCore * (cores > 1 ? cores : kUnknownCores), .rounds = kMostReadRounds};
  const auto bytes = [](const Size& size) {
    return static_cast<std::size_t>(kRoundBytes) * size.groups * size.rounds;
  };
  const DeviceMemory memory = device.memory();
  const bool bounded = memory.apart || memory.available > 0;
  while (bounded && bytes(most) > static_cast<std::size_t>(memory.available) / 2)
    if ((most.rounds /= 2) < Size{}.rounds) return std::nullopt;
  const auto result = device.allocate(sizeof(float));
  std::unique_ptr<Buffer> data;
  // Zeros do not add up to 1, nor products of what is not negative to -1: nothing is stored.
  const auto read = [&](const Size& size) {
    if (!data || data->size() < bytes(size)) data = device.allocate(bytes(size));
    return dispatch(device, *kernels[0], ReadPeakParams{size.rounds, size.groups, 1},
                    {{data.get(), 0}, {result.get(), 0}}, size.groups);
  };
  const auto multiply = [&](const Size& size) {
    return dispatch(device, *kernels[1], ProductPeakParams{size.rounds, -1}, {{result.get(), 0}},
                    size.groups);
  };
  DeviceLimits limits{.read = kRoundBytes * best_rate(device, most, read)};
  most.rounds = kMostProductRounds;
  limits.products = products.round_operations * best_rate(device, most, multiply);
  return limits;
}

}  // namespace medlar::runtime::gpu
