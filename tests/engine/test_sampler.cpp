// Samplers against values worked out by hand from their definitions.
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/sampler/filters.h"
#include "engine/sampler/penalties.h"
#include "engine/sampler/sampler.h"

namespace medlar {
namespace {

using testing::ElementsAre;
using testing::FloatNear;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Candidates from(const std::vector<float>& probabilities) {
  std::vector<float> logits;
  for (float p : probabilities) logits.push_back(std::log(p));
  Candidates c;
  c.assign(logits);
  return c;
}

std::vector<std::int32_t> tokens(const Candidates& c) {
  std::vector<std::int32_t> t;
  for (const Candidate& x : c.view()) t.push_back(x.token);
  return t;
}

TEST(Filters, TopP) {
  Candidates c = from({0.1F, 0.4F, 0.2F, 0.3F});
  filters::top_p(c, 0.69F, 1);
  EXPECT_THAT(tokens(c), ElementsAre(1, 3));
  c = from({0.1F, 0.4F, 0.2F, 0.3F});
  filters::top_p(c, 0, 3);
  EXPECT_THAT(tokens(c), ElementsAre(1, 3, 2));
}

TEST(Filters, MinP) {
  Candidates c = from({0.04F, 0.5F, 0.06F, 0.4F});
  filters::min_p(c, 0.1F, 1);  // keeps what has at least 0.05
  EXPECT_THAT(tokens(c), ElementsAre(1, 3, 2));
}

TEST(Filters, TopK) {
  Candidates c = from({0.1F, 0.4F, 0.2F, 0.3F});
  filters::top_k(c, 2, 1);
  EXPECT_THAT(tokens(c), ElementsAre(1, 3));
}

// Entropy of {.5, .25, .125, .125} is 1.75 bits; surprises are 1, 2, 3, 3 bits: .25 is the most typical.
TEST(Filters, Typical) {
  Candidates c = from({0.5F, 0.25F, 0.125F, 0.125F});
  filters::typical(c, 0.2F, 1);
  EXPECT_THAT(tokens(c), ElementsAre(1));
  c = from({0.5F, 0.25F, 0.125F, 0.125F});
  filters::typical(c, 0.7F, 1);
  EXPECT_THAT(tokens(c), ElementsAre(0, 1));
}

TEST(Filters, TopNSigma) {
  Candidates c;
  c.assign(std::vector<float>{10, 9, 0, 0, 0, 0, 0, 0});  // mean 2.375, deviation 4.12
  filters::top_n_sigma(c, 1);
  EXPECT_THAT(tokens(c), ElementsAre(0, 1));
}

TEST(Filters, XtcDropsAllButTheLeastOfTheTop) {
  std::mt19937_64 random(1);
  Candidates c = from({0.4F, 0.3F, 0.2F, 0.1F});
  filters::xtc(c, {.xtc_probability = 1, .xtc_threshold = 0.15F}, random);
  EXPECT_THAT(tokens(c), ElementsAre(2, 3));
  c = from({0.9F, 0.05F, 0.05F});
  filters::xtc(c, {.xtc_probability = 1, .xtc_threshold = 0.15F}, random);
  EXPECT_EQ(c.size(), 3U);  // one top choice only: nothing to exclude
}

TEST(Filters, TemperatureOneHalfSquaresOdds) {
  Candidates c = from({0.8F, 0.2F});
  filters::temperature(c, 0.5F);
  c.softmax();
  EXPECT_NEAR(c.view()[0].probability / c.view()[1].probability, 16, 1e-3);
}

TEST(Filters, ExtremeTemperaturesStayDefined) {
  for (float t : {1e-30F, 1e30F}) {
    Candidates c;
    c.assign(std::vector<float>{1, 5, -3});
    filters::temperature(c, t);
    c.softmax();
    float sum = 0;
    for (const Candidate& x : c.view()) sum += x.probability;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST(Penalties, RepetitionPresenceFrequency) {
  std::vector<float> logits = {2, -2, 1, 1};
  const std::vector<std::int32_t> history = {3, 0, 0, 1};
  penalties::repetition(
      logits, history,
      {.penalty_last_n = 3, .repeat_penalty = 2, .presence_penalty = 0.25F, .frequency_penalty = 0.5F});
  EXPECT_THAT(logits, ElementsAre(FloatNear(1 - 1.25F, 1e-6F), FloatNear(-4 - 0.75F, 1e-6F), 1, 1));
}

// "a b c a b": c would repeat a sequence of two; x breaks nothing.
TEST(Penalties, DryPenalisesTheContinuationOfARepetition) {
  std::vector<float> logits(4, 0);
  penalties::dry(logits, std::vector<std::int32_t>{0, 1, 2, 0, 1},
                 {.dry_multiplier = 1, .dry_base = 2, .dry_allowed_length = 2}, {});
  EXPECT_THAT(logits, ElementsAre(0, 0, -1, 0));
  logits.assign(4, 0);
  penalties::dry(logits, std::vector<std::int32_t>{3, 0, 1, 2, 3, 0, 1},
                 {.dry_multiplier = 1, .dry_base = 2, .dry_allowed_length = 2}, {});
  EXPECT_THAT(logits, ElementsAre(0, 0, -2, 0));
  logits.assign(4, 0);
  const std::vector<std::int32_t> breakers = {0};
  penalties::dry(logits, std::vector<std::int32_t>{3, 0, 1, 2, 3, 0, 1},
                 {.dry_multiplier = 1, .dry_base = 2, .dry_allowed_length = 2}, breakers);
  EXPECT_THAT(logits, ElementsAre(0, 0, 0, 0));
}

TEST(Penalties, DryWithALongRepetitionStaysFinite) {
  std::vector<float> logits(4, 0);
  penalties::dry(logits, std::vector<std::int32_t>(5000, 1), {.dry_multiplier = 1}, {});
  EXPECT_TRUE(std::isfinite(logits[1]));
  EXPECT_LT(logits[1], -1e30F);
}

SamplerOptions plain(float temperature) {
  return {.seed = 42, .random_seed = false, .top_k = 0, .top_p = 1, .min_p = 0, .temperature = temperature};
}

TEST(Sampler, DrawsFromTheModelsDistribution) {
  const std::vector<float> p = {0.05F, 0.15F, 0.3F, 0.5F};
  std::vector<float> logits;
  for (float x : p) logits.push_back(std::log(x) + 3);
  Sampler sampler(plain(1), 4);
  std::map<std::int32_t, int> counts;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits, {})];
  double chi2 = 0;
  for (std::int32_t t = 0; t < 4; ++t)
    chi2 += std::pow(counts[t] - kDraws * p[static_cast<std::size_t>(t)], 2) /
            (kDraws * p[static_cast<std::size_t>(t)]);
  EXPECT_LT(chi2, 16.3);  // 3 degrees of freedom, p = 0.001
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
  std::vector<float> logits(100);
  std::iota(logits.begin(), logits.end(), 0.0F);
  for (float& x : logits) x *= 0.05F;
  SamplerOptions options;
  options.seed = 7, options.random_seed = false;
  const auto run = [&] {
    Sampler sampler(options, 100);
    std::vector<std::int32_t> t;
    for (int i = 0; i < 50; ++i) t.push_back(sampler.sample(logits, t));
    return t;
  };
  EXPECT_EQ(run(), run());
}

TEST(Sampler, ZeroTemperatureTakesTheBestAndTheFirstOfEquals) {
  Sampler sampler(plain(0), 5);
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3, kNan}, {}), 1);
}

TEST(Sampler, NoTokenWhenNoneCanFollow) {
  for (float t : {0.0F, 1.0F}) {
    Sampler sampler(plain(t), 3);
    EXPECT_EQ(sampler.sample(std::vector<float>{-kInf, kNan, -kInf}, {}), -1);
    EXPECT_EQ(sampler.sample(std::vector<float>{kNan, kNan, kNan}, {}), -1);
    EXPECT_EQ(sampler.sample(std::vector<float>{-kInf, kNan, 1}, {}), 2);
  }
}

TEST(Sampler, BiasBansAndForces) {
  SamplerOptions options = plain(0);
  options.logit_bias = {{1, -kInf}, {0, 1e30F}};
  Sampler sampler(options, 3);
  EXPECT_EQ(sampler.sample(std::vector<float>{0, 5, 1}, {}), 0);
}

TEST(Sampler, MirostatKeepsSurpriseNearItsTarget) {
  std::vector<float> logits(1000);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = -std::log(static_cast<float>(i + 1));  // Zipf
  for (int version : {1, 2}) {
    SamplerOptions options = plain(1);
    options.mirostat = version, options.mirostat_tau = 3;
    Sampler sampler(options, 1000);
    double surprise = 0;
    constexpr int kTokens = 3000;
    for (int i = 0; i < kTokens; ++i) {
      const std::int32_t t = sampler.sample(logits, {});
      if (i >= kTokens / 2) surprise -= log_probability(logits, t) / std::log(2.0) / (kTokens / 2);
    }
    // Measured on the full distribution, so an upper bound on the truncated surprise that mirostat controls.
    EXPECT_GT(surprise, 3) << version;
    EXPECT_LT(surprise, 6) << version;
  }
}

TEST(Sampler, RefusesValuesOutOfRangeByName) {
  const auto message = [](SamplerOptions options) -> std::string {
    try {
      validate(options, 10);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "");
  EXPECT_THAT(message({.temperature = kNan}), testing::StartsWith("temperature"));
  EXPECT_THAT(message({.temperature = -1}), testing::StartsWith("temperature"));
  EXPECT_THAT(message({.top_p = 2}), testing::StartsWith("top_p"));
  EXPECT_THAT(message({.repeat_penalty = 0}), testing::StartsWith("repeat_penalty"));
  EXPECT_THAT(message({.mirostat = 3}), testing::StartsWith("mirostat"));
  SamplerOptions options;
  options.logit_bias = {{10, 1}};
  EXPECT_THAT(message(options), testing::HasSubstr("token 10"));
}

TEST(BestTokens, AreLogProbabilities) {
  const std::vector<float> logits = {std::log(1.0F), std::log(3.0F), std::log(4.0F)};
  const auto best = best_tokens(logits, 2);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].token, 2);
  EXPECT_NEAR(best[0].logprob, std::log(0.5), 1e-6);
  EXPECT_NEAR(log_probability(logits, 1), std::log(0.375), 1e-6);
}

}  // namespace
}  // namespace medlar
