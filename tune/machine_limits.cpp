#include "tune/machine_limits.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>

#include "kernels/cpu/peak.h"

namespace medlar::tune {
namespace {

constexpr int kLeastPasses = 5;
constexpr double kLeastSeconds = 0.2;
constexpr std::int64_t kRounds = 1 << 12;  // of a product loop: about a millisecond

// `work` done a second at best.
double best_rate(double work, const std::function<void()>& pass) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  double best = 0, total = 0;
  for (int i = 0; i < kLeastPasses || total < kLeastSeconds; ++i) {
    const Clock::time_point start = Clock::now();
    pass();
    const Clock::time_point end = Clock::now();
    best = std::max(best, work / std::chrono::duration<double>(end - start).count());
    total = std::chrono::duration<double>(end - begin).count();
  }
  return best;
}

}  // namespace

double read_bandwidth(Team& team, std::span<const std::span<const std::byte>> bytes) {
  std::size_t total = 0;
  for (const std::span<const std::byte> part : bytes) total += part.size();
  const auto members = static_cast<std::size_t>(team.size());
  std::vector<std::uint64_t> results(members * 8);  // a cache line apart
  return best_rate(static_cast<double>(total), [&] {
    team.run([&](int member) {
      const auto m = static_cast<std::size_t>(member);
      for (const std::span<const std::byte> part : bytes) {
        const std::size_t begin = part.size() / members * m;
        const std::size_t end = m + 1 == members ? part.size() : part.size() / members * (m + 1);
        results[m * 8] += kernels::read_all(part.subspan(begin, end - begin));
      }
    });
  });
}

std::optional<double> product_peak(Team& team, const kernels::PeakLoop& loop) {
  if (!loop.run) return std::nullopt;
  const double work = static_cast<double>(loop.operations) * static_cast<double>(kRounds) * team.size();
  return best_rate(work, [&] { team.run([&](int) { loop.run(kRounds); }); });
}

}  // namespace medlar::tune
