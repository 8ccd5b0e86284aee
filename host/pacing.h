// How hard to work: a closed loop from heat and power to threads, batch, chunk and speculation.
// docs/governor.md explains the law.
#pragma once

#include <chrono>
#include <optional>

#include "host/signals.h"

namespace medlar::host {

// Shares, 0 to 1, of what is configured; 1 is everything.
struct Pace {
  double power = 1;        // all in one number
  double threads = 1;      // of the team's
  double prefill = 1;      // of a chunk's tokens
  double batch = 1;        // of the sequences that decode at a time
  double speculation = 1;  // of the drafted tokens; 0: no drafts
  bool background = true;  // requests that can wait may run

  friend bool operator==(const Pace&, const Pace&) = default;
};

// `share` of `full`, rounded up, and at least 1 where `full` is.
int scaled(int full, double share);

struct PacingOptions {
  double margin = 5;           // degrees below the limit to aim at
  double tolerance = 2.5;      // degrees around the aim that change nothing
  double battery = 0.7;        // the most power on battery: where another thread adds little speed
  double low_power = 0.5;      // the most in Low Power Mode, or with a battery nearly empty
  double low_charge = 0.2;     // nearly empty
  double least = 0.2;          // however hot it is
  double fallback_limit = 95;  // degrees, where the limit is unknown
  Duration interval = std::chrono::seconds(1);  // between two looks
};

// No thread, no clock. Times never run backward.
class Pacing {
 public:
  explicit Pacing(const PacingOptions& options = {}) : options_(options) {}

  void take(const ThermalSignal& thermal) { thermal_ = thermal; }
  void take(const PowerSignal& power) { power_ = power; }
  // What was done since the last call: by it the loop sees whether slowing down pays. Without it, it does.
  void worked(double tokens, double busy_seconds);

  // The new pace where it changes. To be called every interval.
  std::optional<Pace> advance(Time now);
  const Pace& pace() const { return pace_; }

 private:
  // Which is faster on this machine is tried once: to let its firmware slow it down, or to do it ourselves.
  enum class Phase : std::uint8_t { cool, sprint, settle, steady, sprint_won, steady_won };
  struct Speed {
    double tokens = 0, seconds = 0;
    double rate() const { return seconds > 0 ? tokens / seconds : 0; }
  };

  void control_celsius(double seconds, Time now);
  void control_state(double seconds);
  void choose_phase(Time now);
  void enter(Phase phase, Time now);
  double limit() const { return thermal_.limit.value_or(options_.fallback_limit); }
  double ceiling() const;

  PacingOptions options_;
  ThermalSignal thermal_;
  PowerSignal power_;
  Pace pace_;
  std::optional<Time> last_;
  double power_share_ = 1;          // what heat allows
  double warm_ = 0;                 // degrees, smoothed
  double before_ = 0;               // degrees, one step earlier
  std::optional<double> too_much_;  // the share at which the machine last became too hot
  std::optional<Time> backed_off_;
  double since_too_much_ = 0;  // seconds
  Phase phase_ = Phase::cool;
  Time phase_since_{};
  Speed speed_, sprint_;
  bool has_worked_ = false;
};

}  // namespace medlar::host
