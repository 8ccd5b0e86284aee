// Sampling from the best logits alone gives the tokens that sampling from all of them gives, or declines.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/sampler/sampler.h"
#include "tests/support/tiny_model.h"

namespace medlar {
namespace {

using runtime::TokenLogit;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int32_t kVocab = 1000;
constexpr std::size_t kListed = 128;

// As Program::best() says it.
std::vector<TokenLogit> best_of(const std::vector<float>& logits) {
  std::vector<TokenLogit> all;
  for (std::size_t t = 0; t < logits.size(); ++t)
    if (logits[t] > -kInf) all.push_back({static_cast<std::int32_t>(t), logits[t]});
  std::ranges::stable_sort(all, std::greater(), &TokenLogit::logit);
  all.resize(std::min(all.size(), kListed));
  std::ranges::sort(all, {}, &TokenLogit::token);
  return all;
}

std::vector<float> random_logits(std::mt19937& random, bool coarse) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(kVocab);
  for (float& x : logits) x = coarse ? std::round(normal(random)) : normal(random);
  logits[random() % kVocab] = kNan, logits[random() % kVocab] = -kInf;
  if (random() % 8 == 0) logits[random() % kVocab] = kInf;
  return logits;
}

// A hundred tokens of each sampler, each after those before; returns how many the best alone gave.
int compare(SamplerOptions options, bool coarse = false, int allow_one_in = 0) {
  constexpr int kTokens = 100;
  std::mt19937 random(5);
  options.seed = 11, options.random_seed = false;
  const std::vector<std::int32_t> breakers = {7, 70};
  Sampler whole(options, kVocab, breakers), listed(options, kVocab, breakers);
  std::vector<std::int32_t> history = {1, 2, 3, 1, 2, 3, 1, 2};
  int served = 0;
  for (int i = 0; i < kTokens; ++i) {
    std::vector<float> logits = random_logits(random, coarse);
    for (std::int32_t t : history) logits[static_cast<std::size_t>(t)] += 2;  // so that penalties matter
    std::vector<std::uint64_t> allowed;
    for (int w = 0; allow_one_in && w < kVocab / 64; ++w) {  // the last tokens have no bit
      allowed.push_back(0);
      for (int b = 0; b < 64; ++b) allowed.back() |= std::uint64_t{random() % allow_one_in == 0} << b;
    }
    const std::int32_t want = whole.sample(logits, history, allowed);
    const auto best = listed.sample_best(best_of(logits), history, allowed);
    EXPECT_EQ(best ? *best : listed.sample(logits, history, allowed), want) << i;
    served += best.has_value();
    history.push_back(want);
  }
  return served;
}

TEST(SampleBest, ServesWhatCutsToFewTokens) {
  for (bool coarse : {false, true}) {
    EXPECT_EQ(compare({}, coarse), 100);
    EXPECT_EQ(compare({.temperature = 0}, coarse), 100);
    EXPECT_EQ(compare({.top_k = 1, .temperature = 2}, coarse), 100);
    EXPECT_EQ(compare({.top_k = static_cast<int>(kListed), .top_p = 1, .min_p = 0, .temperature = 3}, coarse),
              100);
    EXPECT_EQ(compare({.top_k = 20, .typical_p = 0.7F, .xtc_probability = 0.5F}, coarse), 100);
    EXPECT_EQ(compare({.top_k = 2, .temperature = 1, .min_keep = 60}, coarse), 100);
  }
}

TEST(SampleBest, DeclinesWhatNeedsAllLogits) {
  EXPECT_EQ(compare({.top_k = 0}), 0);
  EXPECT_EQ(compare({.top_k = static_cast<int>(kListed) + 1}), 0);
  EXPECT_EQ(compare({.top_n_sigma = 1}), 0);
  EXPECT_EQ(compare({.mirostat = 2}), 0);
  EXPECT_EQ(compare({.repeat_penalty = 0.9F}), 0);
  EXPECT_EQ(compare({.presence_penalty = -1}), 0);
  EXPECT_EQ(compare({.frequency_penalty = -1}), 0);
}

TEST(SampleBest, ServesPenaltiesThatLower) {
  EXPECT_EQ(compare({.repeat_penalty = 1.3F}), 100);
  EXPECT_EQ(compare({.penalty_last_n = -1, .presence_penalty = 5, .frequency_penalty = 2, .temperature = 0}),
            100);
  EXPECT_EQ(compare({.dry_multiplier = 3}), 100);
  // Where penalties take too many of those listed, the others are needed.
  const int some = compare({.penalty_last_n = -1, .presence_penalty = 20, .top_k = 110});
  EXPECT_GT(some, 0);
  EXPECT_LT(some, 100);
}

TEST(SampleBest, ServesBiasesOfWhatIsListed) {
  EXPECT_EQ(compare({.logit_bias = {{3, -kInf}, {4, -5}, {5, -kInf}}}), 100);
  const int some = compare({.logit_bias = {{3, 1}}});  // in the history, and so most likely listed
  EXPECT_GT(some, 0);
  EXPECT_LT(some, 100);
}

TEST(SampleBest, ServesMasksThatLeaveEnough) {
  EXPECT_EQ(compare({.temperature = 0}, true, 2), 100);
  EXPECT_EQ(compare({.top_k = 20}, false, 3), 100);
  const int some = compare({.temperature = 0}, false, 200);
  EXPECT_GT(some, 0);
  EXPECT_LT(some, 100);
  EXPECT_EQ(compare({.top_k = 40}, false, 20), 0);
}

TEST(SampleBest, NothingWithoutAList) {
  Sampler sampler({}, kVocab);
  EXPECT_EQ(sampler.sample_best({}, {}), std::nullopt);
}

// An answer of a device that finds the best itself is what a sampler makes of the device's logits.
TEST(SampleBest, AnswersAreThoseOfAllLogits) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder / "m.gguf", {});
  const auto engine =
      Engine::load(folder / "m.gguf", {.context = 200, .device = Device::emulator, .batch_invariant = true});
  Session session = engine->open_session();
  const std::vector<std::int32_t> prompt = {5, 80, 12};
  for (SamplerOptions options : {SamplerOptions{.temperature = 0}, {.top_k = 40}, {.top_k = 0}}) {
    options.seed = 3, options.random_seed = false;
    const Generation answer =
        session.generate(prompt, {.max_tokens = 24, .sampler = options, .ignore_end = true});
    std::vector<std::int32_t> all = prompt;
    all.insert(all.end(), answer.tokens.begin(), answer.tokens.end());
    Sampler sampler(options, engine->description().vocab);
    const auto vocab = static_cast<std::size_t>(engine->description().vocab);
    session.score(all, [&](std::int64_t first, std::span<const float> logits) {
      for (std::size_t row = 0; row < logits.size() / vocab; ++row) {
        const auto at = static_cast<std::size_t>(first) + row + 1;
        if (at < prompt.size() || at >= all.size()) continue;
        EXPECT_EQ(sampler.sample(logits.subspan(row * vocab, vocab), std::span(all).first(at)), all[at]);
      }
    });
  }
}

}  // namespace
}  // namespace medlar
