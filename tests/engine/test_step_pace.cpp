// How much of prompts a step reads while others wait, with a machine whose steps take the times that are
// said.
#include <gtest/gtest.h>

#include "engine/step_batch.h"

namespace medlar {
namespace {

using Seconds = std::chrono::duration<double>;
constexpr std::int64_t kRoom = 512;

// A step takes 20 ms, and 1 ms more for each token of a prompt.
void step(StepPace& pace, std::int64_t answering, std::int64_t reading, int times = 1) {
  for (int i = 0; i < times; ++i)
    pace.observe(answering, reading,
                 Seconds((answering > 0 ? 0.020 : 0) + 0.001 * static_cast<double>(reading)));
}

StepPace measured(double slowdown) {
  StepPace pace(slowdown);
  step(pace, 0, 512);
  step(pace, 4, 0);
  return pace;
}

TEST(StepPace, ReadsAllThatFitsWhereNobodyWaits) {
  EXPECT_EQ(measured(2).reading(0, kRoom), kRoom);
  EXPECT_EQ(StepPace(2).reading(0, kRoom), kRoom);
}

TEST(StepPace, AStepTakesAsMuchLongerAsItMay) {
  EXPECT_EQ(measured(2).reading(4, kRoom), 20);
  EXPECT_EQ(measured(3).reading(4, kRoom), 40);
  EXPECT_EQ(measured(2).reading(4, 12), 12);
}

TEST(StepPace, APromptAlwaysGetsOn) {
  EXPECT_EQ(measured(1).reading(4, kRoom), 8);
  EXPECT_EQ(StepPace(2).reading(4, kRoom), 8);
  EXPECT_EQ(StepPace(2).finishing(4, kRoom), 8);
}

TEST(StepPace, AStepThatWasInterruptedTellsLittle) {
  StepPace pace = measured(2);
  pace.observe(4, 0, Seconds(5));
  EXPECT_LT(pace.reading(4, kRoom), 24);
  for (int i = 0; i < 30; ++i) pace.observe(4, 0, Seconds(0.1));
  EXPECT_GT(pace.reading(4, kRoom), 90);
}

TEST(StepPace, PromptsThatComeTogetherAreReadToTheirEnd) {
  StepPace pace = measured(2);
  EXPECT_EQ(pace.finishing(1, kRoom), kRoom);
  EXPECT_EQ(pace.reading(1, kRoom), 20);
}

TEST(StepPace, AtMostOneStepInAHundredIsLong) {
  StepPace pace = measured(2);
  step(pace, 4, 400);
  int shorter = 0;
  for (; pace.finishing(4, kRoom) <= 21; ++shorter) step(pace, 4, pace.reading(4, kRoom));
  EXPECT_GE(shorter, 100);
  EXPECT_LT(shorter, 200);
  EXPECT_EQ(pace.finishing(4, kRoom), kRoom);
}

TEST(StepPace, ALongStepIsNoPause) {
  StepPace pace(2);
  for (int i = 0; i < 100; ++i) pace.observe(0, 100, Seconds(2));  // 20 ms a token
  pace.observe(4, 0, Seconds(0.2));
  EXPECT_EQ(pace.finishing(4, kRoom), 100);  // two seconds
}

}  // namespace
}  // namespace medlar
