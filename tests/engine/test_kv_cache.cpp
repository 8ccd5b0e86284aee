// Page bookkeeping: what is held, what slides away, what a rewind needs.
#include <set>

#include <gtest/gtest.h>

#include "engine/kv_cache.h"

namespace medlar {
namespace {

std::set<std::int32_t> held(const KvCache& cache, int group, int sequence) {
  const kernels::PageTable t = cache.table(group);
  std::set<std::int32_t> pages;
  for (std::int32_t i = 0; i < t.stride; ++i) {
    const std::int32_t p = t.pages[sequence * t.stride + i];
    if (p >= 0) {
      EXPECT_TRUE(pages.insert(p).second);
    }
  }
  return pages;
}

TEST(KvCache, TakesPagesAsPositionsCome) {
  KvCache cache({.windows = {0}, .pages = {4}, .max_positions = 256});
  EXPECT_TRUE(cache.extend(0, 1));
  EXPECT_EQ(held(cache, 0, 0).size(), 1U);
  EXPECT_TRUE(cache.extend(0, 63));
  EXPECT_EQ(held(cache, 0, 0).size(), 1U);
  EXPECT_TRUE(cache.extend(0, 1));
  EXPECT_EQ(held(cache, 0, 0).size(), 2U);
  EXPECT_TRUE(cache.extend(0, 191));
  EXPECT_FALSE(cache.extend(0, 1));  // beyond max_positions
  EXPECT_EQ(cache.length(0), 256);
}

TEST(KvCache, SequencesDoNotSharePages) {
  KvCache cache({.windows = {0}, .pages = {5}, .max_sequences = 2, .max_positions = 256});
  EXPECT_TRUE(cache.extend(0, 100));
  EXPECT_TRUE(cache.extend(1, 100));
  for (std::int32_t p : held(cache, 0, 0)) EXPECT_FALSE(held(cache, 0, 1).contains(p));
  EXPECT_FALSE(cache.extend(1, 100));  // one page left, two needed: nothing changes
  EXPECT_EQ(cache.length(1), 100);
  EXPECT_EQ(held(cache, 0, 1).size(), 2U);
  cache.clear(0);
  EXPECT_TRUE(cache.extend(1, 100));
}

TEST(KvCache, WindowsSlide) {
  constexpr std::int64_t kWindow = 128, kBatch = 32, kContext = 10000;
  const std::int32_t pages = kv_pages_needed(kContext, kWindow, kBatch);
  KvCache cache({.windows = {kWindow, 0},
                 .pages = {pages, kv_pages_needed(kContext, 0, kBatch)},
                 .max_positions = kContext});
  for (std::int64_t n = 0; n + kBatch <= kContext; n += kBatch) {
    ASSERT_TRUE(cache.extend(0, kBatch)) << n;
    const kernels::PageTable t = cache.table(0);
    for (std::int64_t p = std::max<std::int64_t>(0, n - kWindow + 1); p < n + kBatch; ++p)
      EXPECT_GE(t.pages[p / kPageTokens], 0);
  }
  EXPECT_LE(held(cache, 0, 0).size(), static_cast<std::size_t>(pages));
  EXPECT_EQ(held(cache, 1, 0).size(), 156U);
  EXPECT_TRUE(cache.take_released(0).empty());  // what slides away is used again at once
}

TEST(KvCache, RewindsWhileTheWindowIsThere) {
  KvCache cache({.windows = {64}, .pages = {kv_pages_needed(4096, 64, 64)}, .max_positions = 4096});
  while (cache.length(0) < 2048) ASSERT_TRUE(cache.extend(0, 64));
  EXPECT_TRUE(cache.truncate(0, 2048 - 200));
  EXPECT_FALSE(cache.truncate(0, 500));
  EXPECT_EQ(cache.length(0), 2048 - 200);
  EXPECT_TRUE(cache.truncate(0, 0));
  EXPECT_TRUE(held(cache, 0, 0).empty());
  EXPECT_TRUE(cache.extend(0, 64));
}

TEST(KvCache, ReportsFreedPagesOnce) {
  KvCache cache({.windows = {0}, .pages = {4}, .max_positions = 256});
  ASSERT_TRUE(cache.extend(0, 256));
  ASSERT_TRUE(cache.truncate(0, 65));
  EXPECT_EQ(cache.take_released(0).size(), 2U);
  EXPECT_TRUE(cache.take_released(0).empty());
  ASSERT_TRUE(cache.truncate(0, 1));
  ASSERT_TRUE(cache.extend(0, 64));  // takes the freed page again
  EXPECT_TRUE(cache.take_released(0).empty());
}

}  // namespace
}  // namespace medlar
