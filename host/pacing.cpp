#include "host/pacing.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace medlar::host {
namespace {

using std::chrono::seconds;

// A proportional-integral law in its velocity form, which cannot wind up: per degree, and per degree and
// second. They suit machines that full power heats by 30 to 100 degrees within half a minute to some minutes.
constexpr double kProportional = 0.04;
constexpr double kIntegral = 0.0008;
constexpr double kSmoothing = 8;      // seconds, against sensors that jump
constexpr double kStill = 0.15;       // degrees a second: what smoothing leaves of a digit's jump
constexpr double kLongestStep = 10;   // seconds: after a sleep of the machine, nothing jumps
constexpr double kNear = 15;          // degrees below the aim, where control begins
constexpr double kSteps = 25;         // different paces
constexpr double kSprintPays = 1.01;  // how much faster it must be, for it takes more energy

// Where only a word is known.
constexpr double kClimb = 0.005;  // a second, while cool
constexpr double kCut = 0.97;     // a second, while too hot
constexpr double kBelow = 0.95;   // of the share that was too much
constexpr double kForget = 600;   // seconds until that much is tried again

constexpr Duration kSprintBegins = seconds(120);  // near the aim: by then firmware throttles, or never will
constexpr Duration kSettle = seconds(300);
constexpr Duration kMeasure = seconds(120);
constexpr double kBackOff = 0.5;  // of the power, so that firmware that throttles lets go
constexpr double kLetsGo = 20;    // degrees below its limit, at which firmware surely has
constexpr std::chrono::duration<double> kBackOffPause = seconds(60);  // until more is tried
constexpr Duration kLongestBackOff = seconds(240);
constexpr double kBusy = 60;        // seconds of work that a measurement needs
constexpr double kCooledDown = 30;  // degrees below the aim: the work is over, what was measured is void

constexpr double kRounding = 1e-9;  // 0.7 of 10 is 7

Pace pace_at(double power, bool background) {
  return {.power = power,
          .threads = power,
          .prefill = std::max(power, 0.25),
          // A batch reads the weights once for all: it is the last thing to shrink.
          .batch = std::clamp(2 * power, 0.25, 1.0),
          // Drafts that are refused are heat for nothing: the first thing to go.
          .speculation = std::clamp(2 * power - 1, 0.0, 1.0),
          .background = background};
}

}  // namespace

int scaled(int full, double share) {
  return std::clamp(static_cast<int>(std::ceil(full * share - kRounding)), std::min(full, 1), full);
}

void Pacing::worked(double tokens, double busy_seconds) {
  has_worked_ = has_worked_ || tokens > 0;
  speed_.tokens += tokens;
  speed_.seconds += busy_seconds;
}

double Pacing::ceiling() const {
  if (power_.low_power) return options_.low_power;
  if (power_.mains) return 1;
  return power_.charge && *power_.charge < options_.low_charge ? options_.low_power : options_.battery;
}

void Pacing::enter(Phase phase, Time now) {
  phase_ = phase;
  phase_since_ = now;
  speed_ = {};
}

// Fewer threads at full clock, or all of them at the clock that firmware allows: which is faster depends on
// the machine and the work, so it is measured, once.
void Pacing::choose_phase(Time now) {
  const Duration passed = now - phase_since_;
  const bool measured = passed >= kMeasure && speed_.seconds >= kBusy;
  const bool trying = phase_ == Phase::sprint || phase_ == Phase::settle || phase_ == Phase::steady;
  if (trying && warm_ < limit() - options_.margin - kCooledDown) return enter(Phase::cool, now);
  switch (phase_) {
    case Phase::cool:
      if (warm_ < limit() - options_.margin - kNear) phase_since_ = now;
      if (now - phase_since_ == Duration{}) return;
      if (!has_worked_) return enter(Phase::steady_won, now);
      if (passed >= kSprintBegins) enter(Phase::sprint, now);
      return;
    case Phase::sprint:
      if (!measured) return;
      sprint_ = speed_;
      backed_off_ = now;
      return enter(Phase::settle, now);
    case Phase::settle:
      if (passed >= kSettle) enter(Phase::steady, now);
      return;
    case Phase::steady:
      if (!measured) return;
      return enter(sprint_.rate() > kSprintPays * speed_.rate() ? Phase::sprint_won : Phase::steady_won, now);
    default:
      return;
  }
}

void Pacing::control_celsius(double seconds, Time now) {
  const double celsius = *thermal_.celsius;
  if (warm_ == 0) warm_ = before_ = celsius;
  warm_ += (celsius - warm_) * std::min(1.0, seconds / kSmoothing);
  choose_phase(now);
  const double rise = warm_ - std::exchange(before_, warm_);
  if (phase_ == Phase::cool || phase_ == Phase::sprint || phase_ == Phase::sprint_won) {
    power_share_ = 1;
    return;
  }
  // Firmware that throttles keeps the temperature below the aim, and would do so for ever.
  if (!backed_off_ && warm_ >= limit()) backed_off_ = now;
  if (backed_off_) {
    const double tries = 1 + std::floor((now - *backed_off_) / kBackOffPause);
    power_share_ = std::min(power_share_, std::pow(kBackOff, tries));
    if (warm_ > limit() - kLetsGo && now - *backed_off_ < kLongestBackOff) return;
    backed_off_.reset();
  }
  const double error = limit() - options_.margin - warm_;
  // A sensor's last digit is no reason to change anything.
  if (std::abs(error) <= options_.tolerance && std::abs(rise) < kStill * seconds) return;
  power_share_ -= kProportional * rise;
  if (std::abs(error) > options_.tolerance) power_share_ += kIntegral * error * seconds;
}

void Pacing::control_state(double seconds) {
  since_too_much_ += seconds;
  if (since_too_much_ > kForget) too_much_.reset();
  const double top = too_much_ ? kBelow * *too_much_ : 1;
  if (thermal_.state == ThermalState::nominal)
    power_share_ = std::max(power_share_, std::min(top, power_share_ + kClimb * seconds));
  if (thermal_.state < ThermalState::serious) return;
  if (!too_much_ || since_too_much_ > kSmoothing) too_much_ = power_share_;
  since_too_much_ = 0;
  power_share_ *= std::pow(kCut, seconds);
}

std::optional<Pace> Pacing::advance(Time now) {
  const double seconds =
      last_ ? std::clamp(std::chrono::duration<double>(now - *last_).count(), 0.0, kLongestStep) : 0;
  last_ = now;
  if (thermal_.celsius) {
    control_celsius(seconds, now);
  } else {
    control_state(seconds);
  }
  if (thermal_.state == ThermalState::critical) power_share_ = options_.least;
  power_share_ = std::clamp(power_share_, options_.least, 1.0);
  const double power = std::min(power_share_, ceiling());
  // A step at least, or an end of the range: what trembles stays where it is.
  const bool moved = std::abs(power - pace_.power) >= 1 / kSteps;
  const bool bound = power == ceiling() || power == options_.least;
  const double share = moved || bound ? power : pace_.power;
  const Pace next = pace_at(share, share > options_.low_power && thermal_.state < ThermalState::serious);
  if (next == pace_) return std::nullopt;
  pace_ = next;
  return pace_;
}

}  // namespace medlar::host
