// The size-quality frontier.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/frontier.h"

namespace medlar::eval {
namespace {

using ::testing::ElementsAre;

TEST(Frontier, HoldsWhatNobodyBeatsInBoth) {
  const std::vector<SizedLoss> files{{100, 0}, {50, 0.1}, {60, 0.2}, {50, 0.3}, {10, 5}};
  EXPECT_THAT(frontier(files), ElementsAre(true, true, false, false, true));
}

TEST(Frontier, EqualFilesDoNotBeatEachOther) {
  const std::vector<SizedLoss> files{{50, 0.1}, {50, 0.1}, {50, 0.2}};
  EXPECT_THAT(frontier(files), ElementsAre(true, true, false));
}

TEST(Frontier, OneFileIsOnIt) {
  const std::vector<SizedLoss> files{{7, 3}};
  EXPECT_THAT(frontier(files), ElementsAre(true));
  EXPECT_THAT(frontier({}), ElementsAre());
}

}  // namespace
}  // namespace medlar::eval
