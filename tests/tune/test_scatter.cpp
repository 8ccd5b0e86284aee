// Scatter plots: where points come to lie on the two axes.
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tune/scatter.h"

namespace medlar::tune {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Scatter example() {
  return {.title = "a <b>",
          .subtitle = "below",
          .x_title = "file size, MB",
          .y_title = "divergence",
          .points = {{.x = 270, .y = 0, .label = "f16", .detail = "16 bits", .highlighted = true},
                     {.x = 140, .y = 0.001, .label = "q8_0", .detail = "8 bits", .highlighted = true},
                     {.x = 100, .y = 0.1, .label = "q4_0", .detail = "4 bits", .highlighted = true},
                     {.x = 120, .y = 0.01, .label = "q5 & more", .detail = "", .highlighted = false}}};
}

std::vector<double> numbers(const std::string& picture, const std::string& pattern) {
  std::vector<double> values;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(picture.begin(), picture.end(), regex), end; it != end; ++it)
    values.push_back(std::stod((*it)[1]));
  return values;
}

TEST(Scatter, SizeIsLinearAndDivergenceLogarithmic) {
  const std::string picture = svg(example());
  const auto x = numbers(picture, "<circle[^>]* cx=\"([0-9.]+)\""),
             y = numbers(picture, "<circle[^>]* cy=\"([0-9.]+)\"");
  ASSERT_EQ(x.size(), 4U);
  EXPECT_NEAR((x[0] - x[1]) / (x[1] - x[2]), 130.0 / 40, 0.02);
  EXPECT_NEAR(y[1] - y[3], y[3] - y[2], 0.11);  // a factor of ten each
  EXPECT_LT(y[2], y[1]);                        // up is more
}

TEST(Scatter, NothingLiesOnTheLowerEdgeWhichIsLabelled) {
  const std::string picture = svg(example());
  const double zero = numbers(picture, "<circle[^>]* cy=\"([0-9.]+)\"")[0];
  EXPECT_NEAR(numbers(picture, "<line class=\"axis\"[^>]* y1=\"([0-9.]+)\"")[0], zero, 0.11);
  EXPECT_THAT(picture, HasSubstr(">0</text>"));
  Scatter without = example();
  without.points[0].y = 1;
  EXPECT_THAT(svg(without), Not(HasSubstr("text-anchor=\"end\">0</text>")));
}

TEST(Scatter, ALineJoinsWhatIsHighlightedBySize) {
  const std::string picture = svg(example());
  std::smatch line;
  ASSERT_TRUE(std::regex_search(picture, line, std::regex("<polyline[^>]* points=\"([^\"]+)\"")));
  const std::vector<double> x = numbers(line[1].str(), "([0-9.]+),");
  ASSERT_EQ(x.size(), 3U);
  EXPECT_LT(x[0], x[1]);
  EXPECT_LT(x[1], x[2]);
}

TEST(Scatter, TextIsEscapedAndNothingComesFromElsewhere) {
  const std::string page = html(example());
  EXPECT_THAT(page, HasSubstr(svg(example())));
  EXPECT_THAT(page, HasSubstr("q5 &amp; more"));
  EXPECT_THAT(page, HasSubstr("a &lt;b&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
  EXPECT_THAT(page, Not(HasSubstr("href=")));
}

TEST(Scatter, OnePointOrNoneIsStillAPicture) {
  Scatter plot = example();
  plot.points.resize(1);
  EXPECT_THAT(svg(plot), Not(HasSubstr("nan")));
  EXPECT_THAT(svg(plot), Not(HasSubstr("inf")));
  plot.points.clear();
  EXPECT_THAT(svg(plot), Not(HasSubstr("nan")));
  EXPECT_THAT(svg(plot), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace medlar::tune
