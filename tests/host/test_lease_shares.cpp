// What each process may have: thousands of random cases against the rules, and a few that can be read.
#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/lease_shares.h"

namespace medlar::host {
namespace {

using ::testing::ElementsAre;
using Records = std::vector<LeaseRecord>;

class RandomRecords {
 public:
  explicit RandomRecords(unsigned seed) : random_(seed) {}

  std::uint64_t bytes() {
    switch (below(8)) {
      case 0:
        return 0;
      case 1:
        return UINT64_MAX;
      case 2:
        return UINT64_MAX - below(100);
      default:
        return below(std::uint64_t{1} << below(50));
    }
  }
  LeaseRecord record() {
    LeaseRecord record{.pid = static_cast<int>(below(1000)),
                       .priority = below(2) ? LeasePriority::interactive : LeasePriority::background,
                       .most = below(2) ? UINT64_MAX : bytes(),
                       .least = below(2) ? 0 : bytes(),
                       .wanted = bytes(),
                       .held = bytes()};
    for (std::uint64_t i = below(4); i > 0; --i)
      record.models.push_back({.device = 1, .inode = below(5), .bytes = below(3) ? 1000 : bytes()});
    return record;
  }
  Records records() {
    Records records(below(40));
    std::ranges::generate(records, [&] { return record(); });
    return records;
  }
  std::uint64_t below(std::uint64_t end) {
    return std::uniform_int_distribution<std::uint64_t>(0, end == 0 ? 0 : end - 1)(random_);
  }

 private:
  std::mt19937_64 random_;
};

// In wide numbers, so that nothing needs to saturate.
using Wide = long double;

Wide distinct_models(const Records& records) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> models;
  for (const LeaseRecord& record : records)
    for (const LeasedModel& m : record.models) {
      std::uint64_t& most = models[{m.device, m.inode}];
      most = std::max(most, m.bytes);
    }
  Wide sum = 0;
  for (const auto& [key, bytes] : models) sum += static_cast<Wide>(bytes);
  return sum;
}

Wide beside_models(const LeaseRecord& record, std::uint64_t share) {
  Wide models = 0;
  for (const LeasedModel& model : record.models) models += static_cast<Wide>(model.bytes);
  return std::max<Wide>(0, static_cast<Wide>(share) - models);
}

// What it cannot do without beside its models, within the most that it takes.
Wide floor_of(const LeaseRecord& record, std::uint64_t total) {
  const Wide most = beside_models(record, std::min(record.most, total));
  return std::min(most, std::max(static_cast<Wide>(record.held), beside_models(record, record.least)));
}

TEST(LeaseShares, TogetherTheyNeverExceedTheTotal) {
  for (unsigned seed = 0; seed < 5000; ++seed) {
    RandomRecords random(seed);
    const Records records = random.records();
    const std::uint64_t total = random.bytes();
    const std::vector<std::uint64_t> given = shares(records, total);
    ASSERT_EQ(given.size(), records.size());
    Wide sum = 0;
    for (std::size_t i = 0; i < given.size(); ++i) {
      EXPECT_LE(given[i], total);
      EXPECT_LE(given[i], records[i].most);
      sum += beside_models(records[i], given[i]);
    }
    EXPECT_LE(sum, std::max<Wide>(0, static_cast<Wide>(total) - distinct_models(records))) << seed;
  }
}

TEST(LeaseShares, NobodyStarvesWhoseNeedsFit) {
  int fitting = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    RandomRecords random(seed);
    const Records records = random.records();
    const std::uint64_t total = random.bytes();
    Wide floors = distinct_models(records);
    for (const LeaseRecord& record : records) floors += floor_of(record, total);
    if (floors > static_cast<Wide>(total)) continue;
    ++fitting;
    const std::vector<std::uint64_t> given = shares(records, total);
    for (std::size_t i = 0; i < given.size(); ++i)
      EXPECT_GE(beside_models(records[i], given[i]), floor_of(records[i], total)) << seed << " " << i;
  }
  EXPECT_GT(fitting, 300);
}

TEST(LeaseShares, OrderDoesNotMatter) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    RandomRecords random(seed);
    const Records records = random.records();
    const std::uint64_t total = random.bytes();
    std::vector<std::size_t> order(records.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, std::mt19937(seed));
    Records shuffled;
    for (const std::size_t i : order) shuffled.push_back(records[i]);
    const auto given = shares(records, total), again = shares(shuffled, total);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint64_t a = again[i], b = given[order[i]];
      // What cannot be divided goes to whoever is later; five times at most.
      EXPECT_LE(std::max(a, b) - std::min(a, b), 5 * records.size()) << seed;
    }
  }
}

TEST(LeaseShares, WhoLeavesTakesNothingFromOthers) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    RandomRecords random(seed);
    Records records = random.records();
    if (records.empty()) continue;
    const std::uint64_t total = random.bytes();
    const std::vector<std::uint64_t> before = shares(records, total);
    const std::size_t count = records.size();
    const auto leaving = static_cast<std::ptrdiff_t>(random.below(count));
    records.erase(records.begin() + leaving);
    const std::vector<std::uint64_t> after = shares(records, total);
    for (std::size_t i = 0; i < after.size(); ++i) {
      const std::size_t old = i + (static_cast<std::ptrdiff_t>(i) >= leaving ? 1 : 0);
      EXPECT_GE(sum_of(after[i], 5 * count), before[old]) << seed << " " << i;
    }
  }
}

LeaseRecord holding(std::uint64_t held) { return {.wanted = held, .held = held}; }
LeaseRecord asking(std::uint64_t held, LeasePriority priority = LeasePriority::interactive) {
  return {.priority = priority, .wanted = UINT64_MAX, .held = held};
}

TEST(LeaseShares, WhoeverIsAloneHasAll) {
  EXPECT_THAT(shares(Records{holding(10)}, 1000), ElementsAre(1000));
  EXPECT_TRUE(shares({}, 1000).empty());
}

TEST(LeaseShares, WhatIsLeftGoesToAllAlike) {
  EXPECT_THAT(shares(Records{holding(100), holding(0), holding(300)}, 1000), ElementsAre(300, 200, 500));
}

TEST(LeaseShares, WhoAsksGetsWhatOthersDoNotUse) {
  EXPECT_THAT(shares(Records{holding(100), asking(0)}, 1000), ElementsAre(100, 900));
  EXPECT_THAT(shares(Records{holding(100), asking(0), asking(100)}, 1000), ElementsAre(100, 400, 500));
}

TEST(LeaseShares, InteractiveComesBeforeBackground) {
  EXPECT_THAT(shares(Records{asking(100, LeasePriority::background), asking(0)}, 1000),
              ElementsAre(100, 900));
}

TEST(LeaseShares, LeastIsKeptFromWhoeverAsks) {
  LeaseRecord quiet = holding(0);
  quiet.least = 400;
  EXPECT_THAT(shares(Records{quiet, asking(0)}, 1000), ElementsAre(400, 600));
}

TEST(LeaseShares, MostIsNeverExceeded) {
  LeaseRecord small = asking(0);
  small.most = 50;
  EXPECT_THAT(shares(Records{small, holding(0)}, 1000), ElementsAre(50, 950));
}

TEST(LeaseShares, AModelThatTwoHaveMappedCountsOnce) {
  LeaseRecord a = holding(100), b = holding(100), c = holding(100);
  a.models = b.models = {{.device = 1, .inode = 7, .bytes = 400}};
  EXPECT_THAT(shares(Records{a, b}, 1000), ElementsAre(700, 700));
  c.models = {{.device = 1, .inode = 8, .bytes = 100}};
  EXPECT_THAT(shares(Records{a, b, c}, 1100), ElementsAre(600, 600, 300));
}

TEST(LeaseShares, WhereNotEvenWhatIsHeldFitsTheSmallKeepAll) {
  EXPECT_THAT(shares(Records{holding(10), holding(500), holding(600)}, 310), ElementsAre(10, 150, 150));
}

}  // namespace
}  // namespace medlar::host
