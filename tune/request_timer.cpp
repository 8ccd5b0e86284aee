#include "tune/request_timer.h"

#include <algorithm>
#include <chrono>

#include "tune/workload.h"

namespace medlar::tune {
namespace {

constexpr std::int64_t kWarmUpTokens = 4, kFewestWritten = 16;

}  // namespace

std::optional<double> time_request(const std::filesystem::path& model, EngineOptions options,
                                   const Request& request, const std::atomic<bool>* cancel) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto cancelled = [&] { return cancel && cancel->load(); };
  const std::int64_t written = std::min(request.gen, std::max(kFewestWritten, request.gen / 4));
  options.context = std::max<std::int64_t>({request.prompt + written, options.batch, kWarmUpTokens});
  if (cancelled()) return std::nullopt;
  Workload workload(model, options);
  workload.feed(kWarmUpTokens);
  workload.reset();

  Clock::time_point start = Clock::now();
  for (std::int64_t read = 0; read < request.prompt;) {
    read = std::min<std::int64_t>(read + options.batch, request.prompt);
    workload.feed(read);
    if (cancelled()) return std::nullopt;
  }
  double seconds = seconds_since(start);
  start = Clock::now();
  for (std::int64_t i = 1; i <= written; ++i) {
    workload.feed(request.prompt + i);
    if (cancelled()) return std::nullopt;
  }
  if (written > 0)
    seconds += seconds_since(start) * static_cast<double>(request.gen) / static_cast<double>(written);
  return seconds;
}

}  // namespace medlar::tune
