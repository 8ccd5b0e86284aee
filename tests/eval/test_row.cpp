// Scores of single rows, against closed forms and what NumPy gives in f64.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "eval/row.h"

namespace medlar::eval {
namespace {

const std::vector<float> kModel{1.5F, -2, 0.25F, 3}, kBase{1, -1, 0.5F, 2.5F};

std::vector<float> random_row(std::size_t vocab, unsigned seed, float spread) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(3, spread);
  std::vector<float> row(vocab);
  for (float& x : row) x = normal(random);
  return row;
}

TEST(Row, LogSoftmaxAgreesWithNumPy) {
  const LogSoftmax n = log_softmax(kModel);
  EXPECT_EQ(n.best, 3);
  EXPECT_EQ(n.least, -2);
  const double expected[] = {-1.7575805084954, -5.2575805084954, -3.0075805084954, -0.2575805084954};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(n(kModel[i]), expected[i], 1e-6);
}

TEST(Row, DivergenceAgreesWithNumPy) {
  const TokenScore s = score(kModel, log_softmax(kModel), 2, std::span<const float>(kBase));
  EXPECT_NEAR(s.nll, 3.0075805084954, 1e-6);
  EXPECT_NEAR(s.base_nll, 2.3283412890257, 1e-6);
  EXPECT_NEAR(s.kl, 0.0349506526031, 1e-6);
  EXPECT_NEAR(s.p_change, -0.0480461825828, 1e-6);
  EXPECT_TRUE(s.same_best);
}

TEST(Row, ARowIsNotFarFromItself) {
  const std::vector<float> row = random_row(5000, 1, 4);
  const TokenScore s = score(row, log_softmax(row), 17, std::span<const float>(row));
  EXPECT_EQ(s.kl, 0);
  EXPECT_EQ(s.p_change, 0);
  EXPECT_TRUE(s.same_best);
}

TEST(Row, AStoredRowIsTheRowToHalfAStep) {
  for (const std::size_t vocab : {4U, 5U, 5000U}) {
    const std::vector<float> row = random_row(vocab, 2, 2);
    const LogSoftmax n = log_softmax(row);
    std::vector<std::byte> bytes(static_cast<std::size_t>(stored_row_bytes(std::ssize(row))), std::byte{7});
    store_row(row, n, bytes);
    const StoredRow stored = stored_row(bytes, std::ssize(row));
    EXPECT_LE(stored.scale, kStoredRange / 65535);
    for (std::size_t i = 0; i < vocab; ++i) {
      if (row[i] <= n.top - kStoredRange) continue;
      EXPECT_NEAR(stored(static_cast<std::int64_t>(i)), n(row[i]), 0.51 * stored.scale + 1e-5);
    }
    if (vocab % 2 == 1) {
      EXPECT_EQ(bytes.back(), std::byte{0});
    }
  }
}

TEST(Row, WhatIsFarBelowTheBestIsStoredAsTheFloor) {
  const std::vector<float> row{10, -100, -std::numeric_limits<float>::infinity(), 9};
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored_row_bytes(4)));
  store_row(row, log_softmax(row), bytes);
  const StoredRow stored = stored_row(bytes, 4);
  EXPECT_EQ(stored(1), stored(2));
  EXPECT_NEAR(stored(1), -16 - std::log1p(std::exp(-1.0)), 1e-5);
}

TEST(Row, EqualLogitsStoreAsOneValue) {
  const std::vector<float> row(6, 2.0F);
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored_row_bytes(6)));
  store_row(row, log_softmax(row), bytes);
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_NEAR(stored_row(bytes, 6)(i), -std::log(6.0), 1e-6);
}

TEST(Row, AStoredBaseGivesTheDivergenceOfTheRowItStoresNearly) {
  const std::vector<float> model = random_row(3000, 3, 2), base = random_row(3000, 4, 2);
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored_row_bytes(3000)));
  store_row(base, log_softmax(base), bytes);
  const LogSoftmax n = log_softmax(model);
  const TokenScore exact = score(model, n, 5, std::span<const float>(base));
  const TokenScore stored = score(model, n, 5, stored_row(bytes, 3000));
  EXPECT_GT(exact.kl, 0.1);
  EXPECT_NEAR(stored.kl, exact.kl, 1e-3 * exact.kl);
  EXPECT_NEAR(stored.base_nll, exact.base_nll, 2e-4);
  EXPECT_EQ(stored.same_best, exact.same_best);
}

TEST(Row, WhatIsNoNumberIsNotHidden) {
  std::vector<float> row = kModel;
  row[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(score(row, log_softmax(row), 0).nll));
  EXPECT_TRUE(std::isnan(score(kModel, log_softmax(kModel), 0, std::span<const float>(row)).kl));
}

}  // namespace
}  // namespace medlar::eval
