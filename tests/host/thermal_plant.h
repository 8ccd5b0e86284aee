// A machine that becomes warm: heat of first order, a die that follows at once, and firmware that throttles.
#pragma once

#include <algorithm>
#include <cmath>

#include "host/pacing.h"
#include "host/signals.h"

namespace medlar::host {

struct PlantOptions {
  double ambient = 25;           // degrees
  double resistance = 80;        // degrees that full power adds in the end
  double seconds = 60;           // time constant of the cooler
  double die = 10;               // degrees that the die is above the cooler at full power
  double limit = 95;             // where the firmware throttles
  double release = 80;           // where it stops
  double throttled_speed = 0.4;  // share of the speed while it throttles
  double throttled_power = 0.5;  // share of the power; a lower voltage makes it less than the speed
  double idle_power = 0.1;       // of full power, whatever is done
  double saturation = 0.5;       // how soon more threads add nothing; large: never, as in prefill
};

// Steps in virtual time. Full power is 1, full speed is 1 token a second.
class ThermalPlant {
 public:
  explicit ThermalPlant(const PlantOptions& options) : options_(options), cooler_(options.ambient) {}

  struct Step {
    double tokens = 0, joules = 0;
  };
  Step run(const Pace& pace, double seconds) {
    const double share = pace.threads;
    double speed = share * (1 + options_.saturation) / (share + options_.saturation);
    double power = options_.idle_power + (1 - options_.idle_power) * share * (0.9 + 0.1 * pace.speculation);
    throttled_ = celsius() >= options_.limit || (throttled_ && celsius() > options_.release);
    if (throttled_) {
      speed *= options_.throttled_speed;
      power = options_.idle_power + (power - options_.idle_power) * options_.throttled_power;
    }
    die_power_ = power;
    const double end = options_.ambient + options_.resistance * power;
    cooler_ += (end - cooler_) * (1 - std::exp(-seconds / options_.seconds));
    return {speed * seconds, power * seconds};
  }
  double celsius() const { return cooler_ + options_.die * die_power_; }
  bool throttled() const { return throttled_; }
  ThermalSignal signal() const {
    const double below = options_.limit - celsius();
    return {.state = below < -5   ? ThermalState::critical
                     : below < 3  ? ThermalState::serious
                     : below < 15 ? ThermalState::fair
                                  : ThermalState::nominal,
            .celsius = std::round(celsius()),
            .limit = options_.limit};
  }

 private:
  PlantOptions options_;
  double cooler_;
  double die_power_ = 0;
  bool throttled_ = false;
};

}  // namespace medlar::host
