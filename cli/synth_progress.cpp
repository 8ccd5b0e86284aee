#include "cli/synth_progress.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"

namespace medlar::cli {

std::function<void(std::uint64_t, std::uint64_t)> synth_progress(const Console& console) {
  using Clock = std::chrono::steady_clock;
  auto bar = std::make_shared<ProgressBar>(console.messages, stderr);
  auto interrupt = std::make_shared<Interrupt>();
  return [bar, interrupt, start = Clock::now()](std::uint64_t done, std::uint64_t total) {
    if (interrupt->requested()) throw Error(ErrorKind::cancelled, "stopped by Ctrl-C");
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
