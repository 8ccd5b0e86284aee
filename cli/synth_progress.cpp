#include "cli/synth_progress.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include "cli/progress_bar.h"

namespace medlar::cli {

std::function<void(std::uint64_t, std::uint64_t)> synth_progress(const Console& console) {
  using Clock = std::chrono::steady_clock;
  auto bar = std::make_shared<ProgressBar>(console.messages, stderr);
  return [bar, start = Clock::now()](std::uint64_t done, std::uint64_t total) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    bar->show({.what = "writing",
               .done = done,
               .total = total,
               .per_second = rate,
               .seconds_left = rate > 0 ? static_cast<double>(total - done) / rate : -1});
  };
}

}  // namespace medlar::cli
