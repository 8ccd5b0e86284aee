// Rotary frequencies against those of Transformers (tests/goldens/rope.txt).
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/blocks.h"

namespace medlar::nn {
namespace {

TEST(Rope, FrequenciesAndMagnitudesEqualTransformers) {
  std::ifstream file(MEDLAR_SOURCE_DIR "/tests/goldens/rope.txt");
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    std::istringstream in(line);
    std::string kind;
    RopeConfig config;
    float magnitude = 0;
    in >> kind >> config.dim >> config.theta >> config.factor >> config.original_context >> magnitude;
    config.scaling = kind == "yarn" ? RopeScaling::yarn : RopeScaling::linear;
    const std::vector<float> inv_freq = rope_frequencies(config);
    ASSERT_EQ(std::ssize(inv_freq), config.dim / 2);
    for (float f : inv_freq) {
      float expected = 0;
      in >> expected;
      EXPECT_NEAR(f / expected, 1, 3e-6) << line.substr(0, 40);
    }
    ir::Graph g;
    EXPECT_NEAR(rope(g, config, ir::RopeStyle::halves).how.magnitude, magnitude, 1e-6);
  }
  EXPECT_GE(cases, 5);
}

TEST(Rope, DivisorsApplyToEachFrequencyAndMustMatch) {
  const std::vector<float> divisors = {1, 2, 4, 8};
  RopeConfig config{.dim = 8, .divisors = divisors};
  const auto plain = rope_frequencies({.dim = 8});
  const auto divided = rope_frequencies(config);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(divided[i], plain[i] / divisors[i]);
  config.dim = 16;
  EXPECT_THROW(rope_frequencies(config), Error);
}

}  // namespace
}  // namespace medlar::nn
