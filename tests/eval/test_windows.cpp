// Which tokens of a text are read and scored, as llama-perplexity has it.
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/windows.h"

namespace medlar::eval {
namespace {

using ::testing::ElementsAre;

std::vector<text::TokenId> counted(int n) {
  std::vector<text::TokenId> tokens(static_cast<std::size_t>(n));
  std::iota(tokens.begin(), tokens.end(), 100);
  return tokens;
}

TEST(Windows, LieBesideEachOtherAndTheirSecondHalfIsScored) {
  const Windows w(counted(26), text::kNoToken, {.context = 8});
  EXPECT_EQ(w.count(), 3);
  EXPECT_EQ(w.first(), 4);
  EXPECT_EQ(w.scored(), 3);
  EXPECT_THAT(w.window(1), ElementsAre(108, 109, 110, 111, 112, 113, 114, 115));
  EXPECT_EQ(w.tokens().size(), 24U);
}

TEST(Windows, AnOddLengthHasItsMiddleScored) {
  const Windows w(counted(14), text::kNoToken, {.context = 7, .most = 1});
  EXPECT_EQ(w.count(), 1);
  EXPECT_EQ(w.first(), 3);
  EXPECT_EQ(w.scored(), 3);
}

TEST(Windows, BeginWithTheBeginToken) {
  const Windows w(counted(16), 1, {.context = 8});
  EXPECT_EQ(w.window(0).front(), 1);
  EXPECT_EQ(w.window(1).front(), 1);
  EXPECT_EQ(w.window(1)[1], 109);
  EXPECT_EQ(w.tokens()[8], 108);
}

TEST(Windows, WithAStrideEveryTokenBehindTheFirstWindowsBeginIsScoredOnce) {
  const Windows w(counted(31), text::kNoToken, {.context = 8, .stride = 4});
  EXPECT_EQ(w.length(), 10);
  EXPECT_EQ(w.scored(), 4);
  ASSERT_EQ(w.count(), 6);  // ceil((31 - 10) / 4)
  text::TokenId expected = 106;
  for (std::int64_t i = 0; i < w.count(); ++i) {
    const auto window = w.window(i);
    for (std::int64_t at = w.first(); at < w.length() - 1; ++at)
      EXPECT_EQ(window[static_cast<std::size_t>(at) + 1], expected++);
  }
}

TEST(Windows, RefuseWhatMakesNoSense) {
  EXPECT_THROW(Windows(counted(7), text::kNoToken, {.context = 8}), Error);
  EXPECT_NO_THROW(Windows(counted(8), text::kNoToken, {.context = 8}));
  EXPECT_THROW(Windows(counted(10), text::kNoToken, {.context = 8, .stride = 4}), Error);
  EXPECT_NO_THROW(Windows(counted(11), text::kNoToken, {.context = 8, .stride = 4}));
  EXPECT_THROW(Windows(counted(99), text::kNoToken, {.context = 3}), Error);
  EXPECT_THROW(Windows(counted(99), text::kNoToken, {.context = 8, .stride = 9}), Error);
  EXPECT_THROW(Windows({}, text::kNoToken, {}), Error);
}

}  // namespace
}  // namespace medlar::eval
