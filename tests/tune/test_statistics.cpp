// The summary of repeated measurements, against values worked out by hand.
#include <gtest/gtest.h>

#include "tune/statistics.h"

namespace medlar::tune {
namespace {

TEST(Statistics, OddNumberOfSamples) {
  const Summary s = summarize({9, 1, 4, 2, 4});
  EXPECT_DOUBLE_EQ(s.median, 4);
  EXPECT_DOUBLE_EQ(s.mean, 4);
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.max, 9);
  EXPECT_NEAR(s.deviation, 3.082207001484488, 1e-12);  // sqrt(38 / 4)
}

TEST(Statistics, EvenNumberTakesTheMiddleOfTwo) { EXPECT_DOUBLE_EQ(summarize({10, 1, 3, 2}).median, 2.5); }

TEST(Statistics, OneSampleHasNoDeviation) {
  const Summary s = summarize({7});
  EXPECT_DOUBLE_EQ(s.median, 7);
  EXPECT_DOUBLE_EQ(s.deviation, 0);
}

}  // namespace
}  // namespace medlar::tune
