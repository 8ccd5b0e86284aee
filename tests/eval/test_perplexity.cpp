// Scoring tiny models: against log-probabilities that are summed here, beside themselves and others, stopped,
// saved, and with what is no number.
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/perplexity.h"
#include "eval/quality.h"
#include "eval/same_tokens.h"
#include "tests/support/tiny_model.h"

namespace medlar::eval {
namespace {

using ::testing::HasSubstr;
using testing::kTinyVocab;

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

class PerplexityTest : public ::testing::Test {
 protected:
  std::shared_ptr<Engine> load(std::uint64_t seed, int batch = 512) {
    const auto path = folder_ / fmt::format("m{}.gguf", seed);
    if (!std::filesystem::exists(path)) testing::write_tiny_model(path, {.head_dim = 32, .seed = seed});
    return Engine::load(path, scoring({.batch = batch, .exact = true}, windows_, team_));
  }
  static std::vector<text::TokenId> tokens(int n) {
    std::vector<text::TokenId> result;
    for (int i = 0; i < n; ++i) result.push_back((i * i * 31 + 7) % 256);
    return result;
  }
  Scores run(Engine& engine, ScoreOptions options = {}) {
    options.team = team_;
    return score_windows(engine, windows_, options);
  }

  testing::TemporaryFolder folder_;
  std::shared_ptr<Team> team_ = std::make_shared<Team>(TeamOptions{.threads = 2});
  Windows windows_{tokens(150), text::kNoToken, {.context = 48}};
};

TEST_F(PerplexityTest, IsThatOfTheModelsLogProbabilities) {
  for (const int batch : {512, 7}) {
    const auto engine = load(1, batch);
    const Scores scores = run(*engine);
    ASSERT_TRUE(scores.complete);
    ASSERT_EQ(scores.tokens.size(), 3U * 23);
    std::size_t next = 0;
    double sum = 0;
    for (std::int64_t w = 0; w < 3; ++w) {
      const auto window = windows_.window(w);
      Session session = engine->open_session();
      session.score(window, [&](std::int64_t first, std::span<const float> logits) {
        for (; !logits.empty(); logits = logits.subspan(kTinyVocab), ++first) {
          if (first < 24 || first == 47) continue;
          double total = 0;
          for (const float x : logits.first(kTinyVocab)) total += std::exp(static_cast<double>(x));
          const auto token = static_cast<std::size_t>(window[static_cast<std::size_t>(first) + 1]);
          const double nll = std::log(total) - static_cast<double>(logits[token]);
          EXPECT_NEAR(scores.tokens[next++].nll, nll, 1e-4);
          sum += nll;
        }
      });
    }
    EXPECT_NEAR(quality(scores.tokens, false).perplexity.value, std::exp(sum / 69),
                1e-3 * std::exp(sum / 69));
    EXPECT_NEAR(scores.running.back(), std::exp(sum / 69), 1e-3 * std::exp(sum / 69));
  }
}

TEST_F(PerplexityTest, AModelIsNotFarFromItselfAndFarFromAnother) {
  const auto engine = load(1);
  for (const std::uint64_t seed : {1U, 2U}) {
    const auto against = load(seed);
    const Quality q = quality(run(*engine, {.against = against.get()}).tokens, true);
    if (seed == 1) {
      EXPECT_EQ(q.comparison->kl_quantiles.most, 0);
      EXPECT_EQ(q.comparison->kl_quantiles.least, 0);
      EXPECT_EQ(q.comparison->same_best.value, 1);
    } else {
      EXPECT_GT(q.comparison->kl_quantiles.least, 0);
      EXPECT_LT(q.comparison->same_best.value, 1);
    }
  }
}

TEST_F(PerplexityTest, ASavedBaseComparesAsTheModelItself) {
  const auto engine = load(1), other = load(2);
  KlBaseWriter writer(folder_ / "b.kld", windows_, kTinyVocab);
  ASSERT_TRUE(run(*other, {.save = &writer}).complete);
  writer.commit();
  const KlBase base = KlBase::open(folder_ / "b.kld");
  EXPECT_NO_THROW(base.check_same_text(windows_.tokens()));
  const Quality stored = quality(run(*engine, {.stored = &base}).tokens, true);
  const Quality beside = quality(run(*engine, {.against = other.get()}).tokens, true);
  EXPECT_NEAR(stored.comparison->kl.value, beside.comparison->kl.value, 1e-3 * beside.comparison->kl.value);
  EXPECT_NEAR(stored.comparison->base_perplexity.value, beside.comparison->base_perplexity.value, 0.05);
  EXPECT_EQ(stored.comparison->same_best.value, beside.comparison->same_best.value);
}

TEST_F(PerplexityTest, StoppedItKeepsWholeWindows) {
  const auto engine = load(1);
  std::atomic<bool> cancel = false;
  const Scores scores = run(*engine, {.cancel = &cancel, .on_step = [&](const ScoreProgress& p) {
                                        // In the second window.
                                        if (p.perplexity > 0 && p.read > 48) cancel = true;
                                      }});
  EXPECT_FALSE(scores.complete);
  EXPECT_EQ(scores.running.size(), 1U);
  EXPECT_EQ(scores.tokens.size(), 23U);
}

TEST_F(PerplexityTest, WhatIsNoNumberIsNamedByItsPosition) {
  load(1);
  const auto path = folder_ / "m1.gguf";
  // The last tensor's values, which every position's result takes part in.
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-4, std::ios::end);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  file.write(reinterpret_cast<const char*>(&nan), sizeof(nan));
  file.close();
  const auto engine = load(1);
  EXPECT_THAT(error_of([&] { run(*engine); }), HasSubstr("in window 1, after position 24"));
}

TEST_F(PerplexityTest, ABaseThatIsNoNumberIsNamed) {
  const auto engine = load(1);
  KlBaseWriter writer(folder_ / "b.kld", windows_, kTinyVocab);
  std::vector<std::byte> row(static_cast<std::size_t>(stored_row_bytes(kTinyVocab)));
  for (int i = 0; i < 3 * 23; ++i) {
    const float scale = i == 25 ? std::numeric_limits<float>::quiet_NaN() : 0.0F, least = -5;
    std::memcpy(row.data(), &scale, sizeof(scale));
    std::memcpy(row.data() + 4, &least, sizeof(least));
    writer.write(row);
  }
  writer.commit();
  const KlBase base = KlBase::open(folder_ / "b.kld");
  EXPECT_THAT(error_of([&] { run(*engine, {.stored = &base}); }),
              HasSubstr("b.kld: in window 2, after position 26,"));
}

TEST_F(PerplexityTest, TokenizersOfOneKindAreTheSame) {
  const auto engine = load(1), other = load(2);
  EXPECT_NO_THROW(check_same_tokens(engine->tokenizer(), other->tokenizer(), "the thin thing"));
}

}  // namespace
}  // namespace medlar::eval
