// Successive halving on simulated machines that drift, jump and are shared: pairs see through all of it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tune/halving.h"

namespace medlar::tune {
namespace {

// A machine on which candidate i takes `seconds[i]` at its best. No clock is read.
struct Noise {
  double spread = 0;     // of one measurement, relative
  double drift = 0;      // by which each measurement is slower than the one before, relative
  double jump_rate = 0;  // of measurements during which somebody else has the machine,
  double jump = 1;       // and how many times as long they take
};

class NoisyMachine {
 public:
  NoisyMachine(std::vector<double> seconds, Noise noise, std::uint32_t seed)
      : seconds_(std::move(seconds)), noise_(noise), random_(seed) {}

  double operator()(std::size_t candidate) {
    slowness_ *= 1 + noise_.drift;
    const double one = uniform() + uniform() + uniform() + uniform() - 2;  // of variance 1/3
    const double jump = uniform() < noise_.jump_rate ? noise_.jump : 1;
    ++measurements;
    used.insert(candidate);
    return seconds_[candidate] * slowness_ * jump * std::exp(noise_.spread * std::sqrt(3) * one);
  }

  int measurements = 0;
  std::set<std::size_t> used;

 private:
  double uniform() { return static_cast<double>(random_()) / 4294967296.0; }

  std::vector<double> seconds_;
  Noise noise_;
  std::mt19937 random_;
  double slowness_ = 1;
};

constexpr int kMachines = 300;

// How many of kMachines runs choose candidate `which`.
int times_chosen(std::size_t which, const std::vector<double>& seconds, const Noise& noise) {
  int count = 0;
  for (std::uint32_t seed = 0; seed < kMachines; ++seed) {
    NoisyMachine machine(seconds, noise, seed);
    if (halve(seconds.size(), std::ref(machine)).best == which) ++count;
  }
  return count;
}

TEST(Halving, FindsTheBestOfAQuietMachine) {
  NoisyMachine machine({1.0, 1.4, 0.7, 0.9, 1.1, 0.8, 2.0}, {}, 1);
  const Halving result = halve(7, std::ref(machine));
  EXPECT_EQ(result.best, 2U);
  EXPECT_TRUE(result.complete);
  ASSERT_EQ(result.tried.size(), 6U);
  EXPECT_EQ(result.tried.back().candidate, 2U);
  EXPECT_NEAR(result.tried.back().median(), 1 / 0.7, 1e-12);
  EXPECT_EQ(result.tried.back().ratios.size(), 8U);
  EXPECT_EQ(result.reference.size(), 8U);
}

TEST(Halving, SpendsLittleOnWhatIsClear) {
  NoisyMachine machine({1.0, 1.5, 2.0, 1.2}, {}, 1);
  EXPECT_EQ(halve(4, std::ref(machine)).best, 0U);
  EXPECT_EQ(machine.measurements, 8);  // two rounds of four
}

TEST(Halving, NeverMeasuresMoreThanItSays) {
  for (std::size_t candidates = 0; candidates <= 12; ++candidates) {
    // Each candidate is faster than those before, so that none is left out early.
    std::vector<double> seconds;
    for (std::size_t i = 0; i < candidates; ++i) seconds.push_back(1 - 0.05 * static_cast<double>(i));
    NoisyMachine machine(seconds, {}, 1);
    const Halving result = halve(candidates, std::ref(machine));
    EXPECT_EQ(machine.measurements, most_measurements(candidates)) << candidates;
    EXPECT_EQ(result.best, candidates < 2 ? 0 : candidates - 1);
  }
}

TEST(Halving, SeesThroughNoise) {
  EXPECT_GE(times_chosen(1, {1.0, 0.9, 1.05, 1.1}, {.spread = 0.03}), kMachines * 95 / 100);
  EXPECT_GE(times_chosen(3, {1.0, 0.97, 1.2, 0.8}, {.spread = 0.05}), kMachines * 95 / 100);
}

TEST(Halving, SeesThroughDrift) {
  // Sixty measurements at 2 % each: the last takes more than three times as long as the first.
  for (const double drift : {0.02, -0.015, 0.05}) {
    EXPECT_GE(times_chosen(2, {1.0, 1.1, 0.92, 1.05}, {.spread = 0.01, .drift = drift}), kMachines * 95 / 100)
        << drift;
    EXPECT_LE(kMachines - times_chosen(0, {1.0, 1.0, 1.0, 1.0}, {.spread = 0.01, .drift = drift}),
              kMachines * 5 / 100)
        << drift;
  }
}

// What pairs are for: the means of one candidate after the other choose whoever came before the drift.
TEST(Halving, DriftMisleadsWhoDoesNotPair) {
  const std::vector<double> seconds = {1.0, 0.9};
  NoisyMachine machine(seconds, {.drift = 0.02}, 1);
  double first = 0, second = 0;
  for (int i = 0; i < 8; ++i) first += machine(0);
  for (int i = 0; i < 8; ++i) second += machine(1);
  EXPECT_LT(first, second);
  NoisyMachine same(seconds, {.drift = 0.02}, 1);
  EXPECT_EQ(duel(std::ref(same)).best, 1U);
}

TEST(Halving, SeesThroughASharedMachine) {
  const Noise shared{.spread = 0.03, .drift = 0.005, .jump_rate = 0.1, .jump = 3};
  // Jumps may cost it the prize, but rarely give it to another.
  EXPECT_GE(times_chosen(1, {1.0, 0.8, 1.3}, shared), kMachines * 80 / 100);
  EXPECT_LE(times_chosen(2, {1.0, 0.8, 1.3}, shared), kMachines * 2 / 100);
}

TEST(Halving, KeepsTheFirstAmongEquals) {
  for (const std::size_t candidates : {2, 4, 8}) {
    const std::vector<double> equal(candidates, 1.0);
    for (const Noise& noise : {Noise{.spread = 0.05}, Noise{.spread = 0.02, .jump_rate = 0.1, .jump = 3}})
      EXPECT_GE(times_chosen(0, equal, noise), kMachines * 95 / 100) << candidates;
  }
  EXPECT_EQ(times_chosen(0, {1.0, 0.995}, {}), kMachines) << "what is not worth it";
}

TEST(Halving, StopsAnywhereWithTheBestSoFar) {
  const std::vector<double> seconds = {1.0, 0.5, 0.9, 1.2};
  for (int stop = 0; stop <= most_measurements(4); ++stop) {
    NoisyMachine machine(seconds, {}, 1);
    const Halving result = halve(4, [&](std::size_t candidate) -> std::optional<double> {
      if (machine.measurements == stop) return std::nullopt;
      return machine(candidate);
    });
    // Two rounds of four and two of three, and what is clear is clear.
    EXPECT_EQ(result.best, stop >= 14 ? 1U : 0U) << stop;
    if (result.best != 0) {
      EXPECT_EQ(result.tried.back().candidate, 1U);
      EXPECT_EQ(result.reference.size(), result.tried.back().ratios.size());
    }
    EXPECT_EQ(result.complete, stop >= 8 + 12 + 16) << stop;
  }
}

TEST(Halving, ADuelToldToStop) {
  const Halving result = duel([](std::size_t) { return std::nullopt; });
  EXPECT_EQ(result.best, 0U);
  EXPECT_FALSE(result.complete);
  EXPECT_EQ(result.tried.at(0).median(), 0);
  EXPECT_TRUE(result.reference.empty());
}

TEST(Rival, WinsWithAllRoundsButOneOfEight) {
  EXPECT_FALSE((Rival{1, {2, 2, 2}}.wins()));
  EXPECT_TRUE((Rival{1, {2, 2, 2, 2}}.wins()));
  EXPECT_FALSE((Rival{1, {2, 2, 2, 0.9}}.wins()));
  EXPECT_TRUE((Rival{1, {2, 2, 2, 0.9, 2, 2, 2, 2}}.wins()));
  EXPECT_FALSE((Rival{1, {2, 2, 2, 0.9, 2, 2, 0.9, 2}}.wins()));
  EXPECT_FALSE((Rival{1, {1.005, 1.005, 1.005, 1.005}}.wins()));
}

}  // namespace
}  // namespace medlar::tune
