// The search over simulated machines: it finds what is fast, measures little, and keeps to what fits.
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tune/search.h"

namespace medlar::tune {
namespace {

constexpr Settings kDefaults{.threads = 16, .batch = 512};

// A search whose requests take `seconds(settings)`; `count` measurements at most, if not negative.
template <class Seconds>
SearchResult search_on(const Seconds& seconds, SearchTask task = {.defaults = kDefaults}, int count = -1) {
  int measured = 0;
  task.measure = [&](const Settings& s) -> std::optional<double> {
    if (measured++ == count) return std::nullopt;
    return seconds(s);
  };
  return search(task);
}

// Fewest seconds at `best` threads.
double at_threads(const Settings& s, int best) { return 1 + std::abs(std::log2(double(s.threads) / best)); }

TEST(Search, BeginsNearTheDefaults) {
  EXPECT_EQ(fewer_threads(16), (std::vector{15, 12, 8}));
  EXPECT_EQ(fewer_threads(4), (std::vector{3, 2}));
  EXPECT_EQ(fewer_threads(2), (std::vector{1}));
  EXPECT_TRUE(fewer_threads(1).empty());
}

TEST(Search, GoesDownAsFarAsFewerThreadsAreFaster) {
  for (const int best : {16, 15, 12, 8, 4, 2, 1}) {
    const SearchResult result = search_on([&](const Settings& s) { return at_threads(s, best); });
    EXPECT_EQ(result.best.threads, best);
    EXPECT_EQ(result.best.batch, 512);
    EXPECT_TRUE(result.complete);
    EXPECT_LE(result.measurements, 130) << best;
  }
}

TEST(Search, KeepsTheDefaultsWhereNothingIsFaster) {
  const SearchResult result =
      search_on([](const Settings& s) { return s == kDefaults ? 1.0 : 1.5; },
                {.defaults = kDefaults, .choices = {.batches = {128, 256}, .kv_types = {DType::f16}}});
  EXPECT_EQ(result.best, kDefaults);
  EXPECT_TRUE(result.ratios.empty());
  EXPECT_EQ(result.default_seconds, std::vector<double>(2, 1.0));
  EXPECT_EQ(result.measurements, 2 * 4 + 2 * 6);  // two rounds of threads, two of the rest
}

TEST(Search, ASingleStepNeedsNoFurtherProof) {
  int at_defaults = 0;
  const SearchResult result = search_on([&](const Settings& s) {
    if (s == kDefaults) ++at_defaults;
    return s.threads == 15 ? 0.5 : 1.0;
  });
  EXPECT_EQ(result.best.threads, 15);
  EXPECT_EQ(result.ratios, std::vector<double>(8, 2.0));
  EXPECT_EQ(result.default_seconds, std::vector<double>(8, 1.0));
  EXPECT_EQ(at_defaults, 2 + 8);
}

TEST(Search, TellsTheGainOfAllStepsTogether) {
  const auto seconds = [](const Settings& s) {
    return at_threads(s, 8) * (s.batch == 256 ? 0.8 : 1) * (s.kv_type == DType::f16 ? 0.9 : 1);
  };
  const SearchResult result =
      search_on(seconds, {.defaults = kDefaults,
                          .choices = {.batches = {128, 256, 512}, .kv_types = {DType::f16, std::nullopt}}});
  EXPECT_EQ(result.best, (Settings{.threads = 8, .batch = 256, .kv_type = DType::f16}));
  ASSERT_EQ(result.ratios.size(), 8U);
  for (const double ratio : result.ratios) EXPECT_NEAR(ratio, 2 / 0.72, 1e-12);
  EXPECT_EQ(result.default_seconds, std::vector<double>(8, 2.0));
}

TEST(Search, MeasuresOnlyWhatFits) {
  SearchTask task{.defaults = kDefaults, .choices = {.batches = {128, 1024}, .kv_types = {DType::f16}}};
  task.fits = [](const Settings& s) { return s.batch <= 512 && !s.kv_type; };
  const SearchResult result = search_on(
      [&](const Settings& s) {
        EXPECT_TRUE(task.fits(s));
        return s.batch == 128 ? 0.5 : 1.0;
      },
      task);
  EXPECT_EQ(result.best, (Settings{.threads = 16, .batch = 128}));
  EXPECT_EQ(result.too_large.size(), 4U);
}

TEST(Search, GivenThreadsAreAllThatIsTried) {
  std::vector<int> seen;
  search_on(
      [&](const Settings& s) {
        seen.push_back(s.threads);
        return 1.0 / s.threads;
      },
      {.defaults = {.threads = 4}, .choices = {.threads = {2, 6}}});
  std::ranges::sort(seen);
  const auto [last, end] = std::ranges::unique(seen);
  seen.erase(last, end);
  EXPECT_EQ(seen, (std::vector{2, 4, 6}));
}

TEST(Search, StoppedAnywhereItKeepsTheBestSoFar) {
  const auto seconds = [](const Settings& s) { return at_threads(s, 8) * (s.batch == 256 ? 0.8 : 1); };
  const SearchTask task{.defaults = kDefaults, .choices = {.batches = {128, 256}}};
  const SearchResult whole = search_on(seconds, task);
  double last = seconds(kDefaults);
  for (int stop = 0; stop <= whole.measurements; ++stop) {
    const SearchResult result = search_on(seconds, task, stop);
    EXPECT_EQ(result.measurements, stop);
    EXPECT_EQ(result.complete, stop == whole.measurements);
    EXPECT_LE(seconds(result.best), last) << stop;  // more time never finds less
    if (!result.ratios.empty()) {
      EXPECT_EQ(result.ratios.size(), result.default_seconds.size());
    }
    for (const double ratio : result.ratios)
      EXPECT_NEAR(ratio, seconds(kDefaults) / seconds(result.best), 1e-12);
    last = seconds(result.best);
  }
  EXPECT_EQ(last, seconds({.threads = 8, .batch = 256}));
}

TEST(Search, LayersOnAGpuComeFirst) {
  // The processor with half of the layers on the GPU is the fastest; with all of them threads do nothing.
  const auto seconds = [](const Settings& s) {
    const int layers = s.gpu_layers.value_or(32);
    return layers == 32 ? 2.0 : (layers == 16 ? 1.0 : 4.0) * at_threads(s, 8) / at_threads(kDefaults, 8);
  };
  SearchTask task{.defaults = kDefaults, .choices = {.batches = {128}, .gpu_layers = {16, 0}}};
  task.uses_threads = [](const Settings& s) { return s.gpu_layers.value_or(32) < 32; };
  const SearchResult result = search_on(seconds, task);
  EXPECT_EQ(result.best, (Settings{.threads = 8, .gpu_layers = 16}));
  ASSERT_EQ(result.ratios.size(), 8U);
  for (const double ratio : result.ratios) EXPECT_NEAR(ratio, 4, 1e-12);

  std::vector<Settings> seen;
  const SearchResult whole = search_on(
      [&](const Settings& s) {
        seen.push_back(s);
        return s.gpu_layers ? 3.0 : 2.0;
      },
      task);
  EXPECT_EQ(whole.best, kDefaults);
  for (const Settings& s : seen) EXPECT_EQ(s.threads, kDefaults.threads);
  task.fits = [](const Settings& s) { return s.gpu_layers != 16; };
  EXPECT_EQ(search_on(seconds, task).too_large.front().gpu_layers, 16);
}

TEST(Search, SaysWhatItDoes) {
  int last_done = -1;
  SearchTask task{.defaults = kDefaults, .choices = {.batches = {256}}};
  task.progress = [&](const Settings&, int done, int most) {
    EXPECT_LT(done, most);
    EXPECT_TRUE(done == 0 || done == last_done + 1);
    last_done = done;
  };
  EXPECT_TRUE(search_on([](const Settings& s) { return at_threads(s, 8); }, task).complete);
}

}  // namespace
}  // namespace medlar::tune
