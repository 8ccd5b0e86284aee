// Stop strings in streams, cut at every place.
#include <gtest/gtest.h>

#include "engine/stop_filter.h"

namespace medlar {
namespace {

// Feeds `text` in pieces of n bytes.
std::string stream(std::string_view text, std::vector<std::string> stops, std::size_t n,
                   bool* stopped = nullptr) {
  StopFilter filter(std::move(stops));
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += n) out += filter.feed(text.substr(i, n));
  out += filter.finish();
  if (stopped) *stopped = filter.stopped();
  return out;
}

TEST(StopFilter, CutsBeforeTheFirstStopHoweverTheTextArrives) {
  for (std::size_t n = 1; n < 12; ++n) {
    EXPECT_EQ(stream("say END now", {"END"}, n), "say ");
    EXPECT_EQ(stream("aab", {"ab"}, n), "a");
    EXPECT_EQ(stream("xx\n\nUser: hi", {"User:", "\n\n"}, n), "xx");
  }
}

TEST(StopFilter, PassesEverythingWhenNothingMatches) {
  for (std::size_t n = 1; n < 12; ++n) {
    bool stopped = true;
    EXPECT_EQ(stream("ENDE is near: EN", {"ENDX"}, n, &stopped), "ENDE is near: EN");
    EXPECT_FALSE(stopped);
  }
}

TEST(StopFilter, HoldsBackOnlyWhatMayStillMatch) {
  StopFilter filter({"<end>"});
  EXPECT_EQ(filter.feed("hello <e"), "hello ");
  EXPECT_EQ(filter.feed("x"), "<ex");
  EXPECT_EQ(filter.feed("<end"), "");
  EXPECT_EQ(filter.feed(">tail"), "");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopFilter, EmptyStopsNeverMatch) { EXPECT_EQ(stream("abc", {""}, 1), "abc"); }

}  // namespace
}  // namespace medlar
