// Estimates and quantiles, against closed forms and what NumPy gives.
#include <cmath>

#include <gtest/gtest.h>

#include "eval/quality.h"
#include "eval/statistics.h"

namespace medlar::eval {
namespace {

constexpr double kTolerance = 1e-12;

TEST(Estimates, TheErrorOfAMeanIsTheDeviationOverTheRootOfTheCount) {
  const Estimate e = mean(std::vector<double>{1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(e.value, 2.5);
  EXPECT_NEAR(e.error, std::sqrt(5.0 / 3) / 2, kTolerance);
  EXPECT_DOUBLE_EQ(mean(std::vector<double>{7}).error, 0);
  EXPECT_DOUBLE_EQ(mean({}).value, 0);
}

TEST(Estimates, ErrorsArePropagated) {
  const Estimate root = root_mean_square(std::vector<double>{3, -4});
  EXPECT_NEAR(root.value, std::sqrt(12.5), kTolerance);
  EXPECT_NEAR(root.error, 3.5 / (2 * std::sqrt(12.5)), kTolerance);
  const Estimate e = exponential({std::log(20.0), 0.01});
  EXPECT_NEAR(e.value, 20, kTolerance);
  EXPECT_NEAR(e.error, 0.2, kTolerance);
  EXPECT_NEAR(share(95, 100).error, std::sqrt(0.95 * 0.05 / 99), kTolerance);
}

TEST(Estimates, PairedMeansHaveTheErrorOfTheDifferences) {
  const PairedMeans p = paired_means(std::vector<double>{1, 2, 4, 8}, std::vector<double>{1.5, 1.5, 5, 7});
  EXPECT_NEAR(p.difference.value, 0, kTolerance);
  EXPECT_NEAR(p.difference.error, 0.4564354645876384, kTolerance);  // numpy: std(a - b, ddof=1) / 2
  EXPECT_NEAR(p.correlation, 0.9587995262355556, 1e-9);             // numpy.corrcoef
}

TEST(Quantile, AgreesWithNumPy) {
  const Quantiles q = quantiles({5, 1, 9, 2.5, 7, 3});
  EXPECT_DOUBLE_EQ(q.least, 1);
  EXPECT_NEAR(q.p001, 1.0075, kTolerance);
  EXPECT_NEAR(q.p01, 1.075, kTolerance);
  EXPECT_NEAR(q.p05, 1.375, kTolerance);
  EXPECT_NEAR(q.p10, 1.75, kTolerance);
  EXPECT_NEAR(q.median, 4, kTolerance);
  EXPECT_NEAR(q.p90, 8, kTolerance);
  EXPECT_NEAR(q.p95, 8.5, kTolerance);
  EXPECT_NEAR(q.p99, 8.9, kTolerance);
  EXPECT_NEAR(q.p999, 8.99, kTolerance);
  EXPECT_DOUBLE_EQ(q.most, 9);
}

TEST(Quality, AModelWithTheBasesScoresIsAsGood) {
  std::vector<TokenScore> scores;
  for (const double nll : {0.5, 1.0, 4.0})
    scores.push_back({.nll = nll, .base_nll = nll, .kl = 0, .p_change = 0, .same_best = true});
  const Quality q = quality(scores, true);
  EXPECT_EQ(q.tokens, 3);
  EXPECT_NEAR(q.perplexity.value, std::exp(5.5 / 3), kTolerance);
  EXPECT_NEAR(q.comparison->base_perplexity.value, q.perplexity.value, kTolerance);
  EXPECT_NEAR(q.comparison->log_ratio.error, 0, 1e-7);
  EXPECT_NEAR(q.comparison->correlation, 1, kTolerance);
  EXPECT_DOUBLE_EQ(q.comparison->same_best.value, 1);
  EXPECT_DOUBLE_EQ(q.comparison->p_change_rms.error, 0);
  EXPECT_FALSE(quality(scores, false).comparison);
}

// Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
TEST(Wilson, IntervalsAreThePublishedOnes) {
  const auto expect = [](const Proportion& p, double low, double high) {
    EXPECT_NEAR(p.low, low, 5e-5);
    EXPECT_NEAR(p.high, high, 5e-5);
  };
  expect(wilson(81, 263), 0.2553, 0.3662);
  expect(wilson(15, 148), 0.0624, 0.1605);
  expect(wilson(0, 20), 0, 0.1611);
  expect(wilson(1, 29), 0.0061, 0.1718);
  EXPECT_DOUBLE_EQ(wilson(15, 148).value, 15.0 / 148);
  expect(wilson(0, 0), 0, 1);
}

}  // namespace
}  // namespace medlar::eval
