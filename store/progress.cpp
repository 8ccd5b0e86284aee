#include "store/progress.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"

namespace medlar::store {
namespace {

using namespace std::chrono_literals;

constexpr auto kReportEvery = 100ms;
constexpr auto kMeasureEvery = 250ms;
constexpr double kSmoothing = 3.0;  // seconds: the time constant of the rate

double seconds(ProgressMeter::Clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::resolving:
      return "resolving";
    case Phase::waiting:
      return "waiting";
    case Phase::checking:
      return "checking";
    case Phase::downloading:
      return "downloading";
    case Phase::extracting:
      return "extracting";
    case Phase::verifying:
      return "verifying";
  }
  return "working";
}

void ProgressMeter::begin(Phase phase, std::string_view what, std::uint64_t done, std::uint64_t total) {
  if (begun_ != Clock::time_point{}) flush();  // the end of the phase before
  phase_ = phase;
  what_ = printable(what, 120);
  done_ = measured_done_ = done;
  total_ = total;
  rate_ = 0;
  begun_ = measured_ = Clock::now();
  flush();
}

void ProgressMeter::update(std::uint64_t done) {
  check_cancelled();
  done_ = done;
  const auto now = Clock::now();
  if (now - measured_ >= kMeasureEvery) measure(now);
  if (now - reported_ >= kReportEvery) flush();
}

void ProgressMeter::measure(Clock::time_point now) {
  const double elapsed = seconds(now - measured_);
  const double moved = done_ > measured_done_ ? static_cast<double>(done_ - measured_done_) : 0;
  // At first the plain average; later an exponential one.
  const double weight = std::max(1 - std::exp(-elapsed / kSmoothing), elapsed / seconds(now - begun_));
  rate_ += weight * (moved / elapsed - rate_);
  measured_ = now;
  measured_done_ = done_;
}

void ProgressMeter::flush() {
  reported_ = Clock::now();
  if (!report_) return;
  ProgressEvent event{phase_, what_, done_, total_, rate_, -1};
  if (rate_ > 0 && total_ >= done_ && total_ > 0)
    event.seconds_left = static_cast<double>(total_ - done_) / rate_;
  report_(event);
}

void ProgressMeter::check_cancelled() const {
  if (cancel_ != nullptr && cancel_->load(std::memory_order_relaxed))
    throw Error(ErrorKind::cancelled, "cancelled");
}

}  // namespace medlar::store
