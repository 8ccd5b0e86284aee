// The ladder of memory pressure: quick up, slow down, and calm in any storm.
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/ladder.h"

namespace medlar::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using enum MemoryStage;

constexpr LadderOptions kOptions;

// Time in virtual seconds, and every change of stage.
class LadderTest : public testing::Test {
 protected:
  void report(double at, MemoryPressure pressure) {
    run_until(at);
    note(ladder_.report(pressure, time(at)), at);
  }
  // Wakes the ladder exactly when it asks for it.
  void run_until(double at) {
    while (ladder_.due() && *ladder_.due() <= time(at)) {
      const Time due = *ladder_.due();
      note(ladder_.advance(due), std::chrono::duration<double>(due - Time{}).count());
    }
  }
  static Time time(double s) { return Time{} + milliseconds(static_cast<long>(s * 1000)); }
  void note(std::optional<Ladder::Change> change, double at) {
    if (!change) return;
    if (change->again) {
      ++asked_again_;
      return;
    }
    stages_.push_back(change->stage);
    times_.push_back(at);
  }

  Ladder ladder_{kOptions};
  std::vector<MemoryStage> stages_;
  std::vector<double> times_;
  int asked_again_ = 0;
};

TEST_F(LadderTest, RisesAtOnceAndFallsByStages) {
  report(1, MemoryPressure::critical);
  EXPECT_EQ(ladder_.stage(), critical);
  run_until(100);
  EXPECT_THAT(stages_, ElementsAre(critical, warning, recovering, normal));
  EXPECT_THAT(times_, ElementsAre(1, 5, 9, 13));
  EXPECT_EQ(ladder_.due(), std::nullopt);
}

TEST_F(LadderTest, WarningDoesNotPassThroughCritical) {
  report(1, MemoryPressure::warning);
  report(2, MemoryPressure::warning);
  run_until(100);
  EXPECT_THAT(stages_, ElementsAre(warning, recovering, normal));
  EXPECT_THAT(times_, ElementsAre(1, 6, 10));
}

TEST_F(LadderTest, NormalReportsChangeNothing) {
  report(1, MemoryPressure::normal);
  EXPECT_TRUE(stages_.empty());
  report(2, MemoryPressure::warning);
  report(2.1, MemoryPressure::normal);
  EXPECT_EQ(ladder_.stage(), warning);
}

TEST_F(LadderTest, WarningsDoNotKeepItCritical) {
  report(0, MemoryPressure::critical);
  for (double t = 0.5; t < 20; t += 0.5) report(t, MemoryPressure::warning);
  EXPECT_THAT(stages_, ElementsAre(critical, warning));
}

TEST_F(LadderTest, AsksAgainWhilePressureLasts) {
  for (int i = 0; i <= 40; ++i) report(i * 0.25, MemoryPressure::warning);
  EXPECT_THAT(stages_, ElementsAre(warning));
  EXPECT_EQ(asked_again_, 5);
}

TEST_F(LadderTest, RelapsesMakeItWaitLonger) {
  double t = 0;
  std::vector<double> lengths;
  for (int i = 0; i < 6; ++i) {
    report(t, MemoryPressure::warning);
    const double begun = t;
    while (ladder_.stage() == warning) run_until(t += 0.5);
    lengths.push_back(t - begun);
  }
  EXPECT_THAT(lengths, ElementsAre(4, 8, 16, 32, 32, 32));
  run_until(t += 1000);
  report(t, MemoryPressure::warning);  // news
  run_until(t + 4.5);
  EXPECT_EQ(ladder_.stage(), recovering);
}

TEST_F(LadderTest, LateWakingIsHarmless) {
  report(0, MemoryPressure::critical);
  EXPECT_EQ(ladder_.advance(time(3600))->stage, warning);
  EXPECT_EQ(ladder_.advance(time(3600)), std::nullopt);
  EXPECT_EQ(ladder_.advance(time(7200))->stage, recovering);
}

TEST(LadderActions, CriticalIncludesWarning) {
  const auto warned = actions(warning), critical_ones = actions(critical);
  ASSERT_GT(critical_ones.size(), warned.size());
  EXPECT_TRUE(std::ranges::equal(warned, critical_ones.first(warned.size())));
  for (const MemoryStage stage : {normal, warning, critical, recovering})
    EXPECT_FALSE(actions(stage).empty());
}

// Storms of every kind: the stage may change only as often as the doubling quiet time allows, a report is
// answered at once, and calm brings it back to normal.
TEST(LadderStorm, ChangesAreFewAndItEndsNormal) {
  constexpr double kStorm = 600;
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const double mean_gap = std::exp(std::uniform_real_distribution<>(std::log(0.002), std::log(20))(random));
    std::exponential_distribution<> gap(1 / mean_gap);
    std::discrete_distribution<> kind({1, std::uniform_real_distribution<>(0.1, 3)(random), 1});
    Ladder ladder;
    int changes = 0;
    const auto count = [&](std::optional<Ladder::Change> change) { changes += change && !change->again; };
    Time now{};
    const auto sleep_until = [&](Time end) {
      while (ladder.due() && *ladder.due() <= end) count(ladder.advance(*ladder.due()));
      now = end;
    };
    const Time end = now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(kStorm));
    while (now < end) {
      sleep_until(now + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(gap(random))));
      const auto pressure = static_cast<MemoryPressure>(kind(random));
      count(ladder.report(pressure, now));
      if (pressure == MemoryPressure::warning) {
        EXPECT_TRUE(ladder.stage() == warning || ladder.stage() == critical);
      }
      if (pressure == MemoryPressure::critical) {
        EXPECT_EQ(ladder.stage(), critical);
      }
    }
    // A rise and a fall are 4 changes at most; falls come after quiet times of 4, 8, 16, 32, 32, ... seconds.
    const int falls = 4 + static_cast<int>(kStorm / 32);
    EXPECT_LE(changes, 4 * falls) << "seed " << seed << ", mean gap " << mean_gap;
    sleep_until(now + 2 * kOptions.longest_quiet + kOptions.recovery);
    EXPECT_EQ(ladder.stage(), normal) << "seed " << seed;
    EXPECT_EQ(ladder.due(), std::nullopt);
  }
}

}  // namespace
}  // namespace medlar::host
