// Plots: tick marks, and where points come to lie.
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tune/picture.h"
#include "tune/plot.h"

namespace medlar::tune {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

TEST(AxisTicks, AreRoundAndHoldTheRange) {
  const auto near = [](std::vector<double> expected) { return Pointwise(DoubleNear(1e-9), expected); };
  EXPECT_THAT(axis_ticks(0, 41, 5), near({0, 10, 20, 30, 40, 50}));
  EXPECT_THAT(axis_ticks(0, 40, 5), near({0, 10, 20, 30, 40}));
  EXPECT_THAT(axis_ticks(0, 0.7, 5), near({0, 0.2, 0.4, 0.6, 0.8}));
  EXPECT_THAT(axis_ticks(61.5, 88, 5), near({60, 70, 80, 90}));
  EXPECT_THAT(axis_ticks(3000, 3000, 5), near({3000, 3000.2, 3000.4, 3000.6, 3000.8, 3001}));
  EXPECT_THAT(axis_ticks(-3, 4, 5), near({-4, -2, 0, 2, 4}));
}

Plot example() {
  return {.title = "a <b> & \"c\"\x01",
          .subtitle = "below",
          .seconds = 100,
          .panels = {{"Speed", "tokens/s", {{0, 0}, {50, 20}, {100, 40}}},
                     {"Heat", "°C", {{100, 60}, {100, 80}}, false}}};
}

// Numbers of an attribute of every circle.
std::vector<double> circles(const std::string& picture, const std::string& attribute) {
  std::vector<double> values;
  const std::regex pattern("<circle[^>]* " + attribute + "=\"([0-9.]+)\"");
  for (std::sregex_iterator it(picture.begin(), picture.end(), pattern), end; it != end; ++it)
    values.push_back(std::stod((*it)[1]));
  return values;
}

TEST(Plot, PointsLieOnAStraightLine) {
  const std::string picture = svg(example());
  const std::vector<double> x = circles(picture, "cx"), y = circles(picture, "cy");
  ASSERT_EQ(x.size(), 5U);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_GT(x[1], x[0]);
  EXPECT_NEAR(y[0] - y[1], y[1] - y[2], 0.11);
  EXPECT_LT(y[2], y[0]);  // up is more
  EXPECT_GT(y[3], y[0]);  // the second panel is below the first
}

TEST(Plot, TextIsEscaped) {
  const std::string picture = svg(example());
  EXPECT_THAT(picture, HasSubstr("a &lt;b&gt; &amp; &quot;c&quot;</text>"));
  EXPECT_THAT(picture, Not(HasSubstr("\x01")));
}

TEST(Plot, LightAndDarkUnitsAndNothingFromElsewhere) {
  const std::string page = html(example());
  EXPECT_THAT(page, HasSubstr(svg(example())));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(page, HasSubstr("Speed, tokens/s"));
  EXPECT_THAT(page, HasSubstr("time, seconds"));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
}

TEST(Plot, NothingIsStillAPicture) {
  const std::string picture = svg({.title = "empty"});
  EXPECT_THAT(picture, HasSubstr("</svg>"));
  EXPECT_THAT(picture, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace medlar::tune
