// The loop of heat and power, judged on simulated machines against an uncontrolled sprint.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "host/pacing.h"
#include "tests/host/thermal_plant.h"

namespace medlar::host {
namespace {

using std::chrono::seconds;

struct Outcome {
  double tokens_per_second = 0, joules_per_token = 0;  // of the last half
  double lowest = 1, highest = 0;                      // power share in the last third
  int changes = 0;                                     // of the pace, there
  double hottest = 0;                                  // degrees, there
  double throttled = 0;                                // share of the time, there
};

struct Trial {
  PlantOptions plant;
  bool controlled = true;
  bool knows_degrees = true;  // else only the state
  bool knows_speed = true;
  double noise = 0;   // degrees, standard deviation
  int length = 5400;  // seconds
  PowerSignal power;
};

Outcome run(const Trial& trial) {
  ThermalPlant plant(trial.plant);
  Pacing pacing;
  pacing.take(trial.power);
  std::mt19937 random(1);
  std::normal_distribution<> noise(0, std::max(trial.noise, 1e-9));
  Outcome out;
  double tokens = 0, joules = 0;
  for (int t = 0; t < trial.length; ++t) {
    ThermalSignal heat = plant.signal();
    *heat.celsius += std::round(noise(random));
    if (!trial.knows_degrees) heat.celsius.reset();
    pacing.take(heat);
    const bool changed = trial.controlled && pacing.advance(Time{} + seconds(t)).has_value();
    const ThermalPlant::Step step = plant.run(pacing.pace(), 1);
    if (trial.knows_speed) pacing.worked(step.tokens, 1);
    if (t >= trial.length / 2) {
      tokens += step.tokens;
      joules += step.joules;
    }
    if (t < trial.length * 2 / 3) continue;
    out.lowest = std::min(out.lowest, pacing.pace().power);
    out.highest = std::max(out.highest, pacing.pace().power);
    out.hottest = std::max(out.hottest, plant.celsius());
    out.changes += changed;
    out.throttled += plant.throttled() ? 3.0 / trial.length : 0;
  }
  out.tokens_per_second = tokens / (trial.length - trial.length / 2);
  out.joules_per_token = joules / tokens;
  return out;
}

Outcome sprint(Trial trial) {
  trial.controlled = false;
  return run(trial);
}

// Fanless tablets to desktops with a poor cooler; all of them throttle at full power.
std::vector<PlantOptions> hard_plants() {
  return {{},
          {.resistance = 110, .seconds = 120},
          {.ambient = 35, .seconds = 30},
          {.resistance = 75, .seconds = 200, .die = 25},
          {.resistance = 100, .seconds = 90, .die = 0, .release = 90},
          {.limit = 85, .release = 75, .saturation = 0.3},
          {.throttled_speed = 0.2, .throttled_power = 0.4, .saturation = 1}};
}

TEST(Pacing, FasterCoolerAndMoreFrugalThanASprint) {
  for (const PlantOptions& plant : hard_plants()) {
    SCOPED_TRACE(testing::Message() << "resistance " << plant.resistance << ", " << plant.seconds << " s");
    for (const bool knows_speed : {true, false}) {
      const Trial trial{.plant = plant, .knows_speed = knows_speed};
      const Outcome free = sprint(trial), controlled = run(trial);
      ASSERT_GT(free.throttled, 0) << "the case shows nothing";
      EXPECT_GE(controlled.tokens_per_second, free.tokens_per_second);
      EXPECT_LT(controlled.joules_per_token, free.joules_per_token);
      EXPECT_LT(controlled.hottest, plant.limit);
      EXPECT_EQ(controlled.throttled, 0);
    }
  }
}

TEST(Pacing, DoesNotOscillate) {
  for (const PlantOptions& plant : hard_plants()) {
    for (const double noise : {0.0, 0.5}) {
      const Outcome controlled = run({.plant = plant, .noise = noise});
      SCOPED_TRACE(testing::Message()
                   << "resistance " << plant.resistance << ", " << plant.seconds << " s, noise " << noise);
      EXPECT_LE(controlled.highest - controlled.lowest, 0.1);
      EXPECT_LE(controlled.changes, noise > 0 ? 60 : 2) << "in half an hour";
    }
  }
}

TEST(Pacing, StatesWithoutDegreesAreEnough) {
  for (const PlantOptions& plant : hard_plants()) {
    const Trial trial{.plant = plant, .knows_degrees = false};
    const Outcome free = sprint(trial), controlled = run(trial);
    SCOPED_TRACE(testing::Message() << "resistance " << plant.resistance << ", " << plant.seconds << " s");
    EXPECT_GE(controlled.tokens_per_second, free.tokens_per_second);
    EXPECT_LT(controlled.joules_per_token, free.joules_per_token);
    EXPECT_LE(controlled.highest - controlled.lowest, 0.15);
    EXPECT_EQ(controlled.throttled, 0);
  }
}

// Firmware that lowers the voltage with the clock throttles better than fewer threads do.
TEST(Pacing, LeavesAMachineAloneThatThrottlesWell) {
  const Trial trial{.plant = {.throttled_speed = 0.7, .throttled_power = 0.35, .saturation = 100}};
  const Outcome free = sprint(trial), controlled = run(trial);
  EXPECT_NEAR(controlled.tokens_per_second, free.tokens_per_second, 0.02 * free.tokens_per_second);
  EXPECT_EQ(controlled.lowest, 1);
}

TEST(Pacing, ACoolMachineRunsAtFullSpeed) {
  for (const bool knows_degrees : {true, false}) {
    const Outcome controlled = run({.plant = {.resistance = 40}, .knows_degrees = knows_degrees});
    EXPECT_EQ(controlled.lowest, 1);
    EXPECT_EQ(controlled.changes, 0);
  }
}

TEST(Pacing, WarmButNeverThrottlingRunsAtFullSpeed) {
  const Outcome controlled = run({.plant = {.resistance = 58}});  // 93 degrees of 95 at full power
  EXPECT_EQ(controlled.lowest, 1);
}

TEST(Pacing, BatteryTakesTheEfficientPoint) {
  const Outcome mains = run({.plant = {.resistance = 40}});
  const Outcome battery = run({.plant = {.resistance = 40}, .power = {.mains = false, .charge = 0.8}});
  const Outcome low = run({.plant = {.resistance = 40}, .power = {.mains = false, .low_power = true}});
  EXPECT_LT(battery.joules_per_token, mains.joules_per_token);
  EXPECT_LT(low.joules_per_token, battery.joules_per_token);
  EXPECT_GT(battery.tokens_per_second, 0.8 * mains.tokens_per_second);
}

TEST(Pacing, HotAndOnBatteryTakesTheLower) {
  const Trial hot{.plant = {.ambient = 40, .resistance = 120}};
  Trial both = hot;
  both.power = {.mains = false, .charge = 0.5};
  EXPECT_LE(run(both).highest, std::min(run(hot).highest + 0.05, 0.7));
}

TEST(Pacing, AnyReadingGivesASoundPace) {
  std::mt19937 random(7);
  std::uniform_real_distribution<> degrees(-40, 150), charge(0, 1);
  Pacing pacing;
  Time now{};
  for (int i = 0; i < 20000; ++i) {
    ThermalSignal heat{.state = static_cast<ThermalState>(random() % 4)};
    if (random() % 2 != 0) heat.celsius = degrees(random);
    if (random() % 2 != 0) heat.limit = degrees(random);
    pacing.take(heat);
    pacing.take(
        PowerSignal{.mains = random() % 2 != 0, .low_power = random() % 4 == 0, .charge = charge(random)});
    if (random() % 3 == 0) pacing.worked(charge(random), charge(random));
    now += std::chrono::milliseconds(random() % 5000);
    pacing.advance(now);
    const Pace& p = pacing.pace();
    for (const double share : {p.power, p.threads, p.prefill, p.batch})
      ASSERT_TRUE(share >= 0.2 && share <= 1);
    ASSERT_TRUE(p.speculation >= 0 && p.speculation <= 1);
  }
}

TEST(Scaled, RoundsAndKeepsOne) {
  EXPECT_EQ(scaled(8, 1), 8);
  EXPECT_EQ(scaled(8, 0.7), 6);
  EXPECT_EQ(scaled(8, 0), 1);
  EXPECT_EQ(scaled(1, 0.2), 1);
  EXPECT_EQ(scaled(0, 0.5), 0);
  EXPECT_EQ(scaled(2, 0.5), 1);
  EXPECT_EQ(scaled(2, 0.7), 2);
  EXPECT_EQ(scaled(10, 0.7), 7);
}

}  // namespace
}  // namespace medlar::host
