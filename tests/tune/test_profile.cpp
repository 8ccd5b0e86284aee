// Profiles: sums by kind of call, traces, and that steps are watched. Nothing here depends on how long things
// take.
#include <algorithm>
#include <boost/json.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/tiny_model.h"
#include "tune/bench.h"
#include "tune/bench_report.h"
#include "tune/profile.h"

namespace medlar::tune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

Profile example() {
  Profile p({{"embed", "", 0},
             {"linear", "blk.0.attn_q.weight,blk.0.attn_k.weight", 100},
             {"linear", "blk.1.attn_q.weight,blk.1.attn_k.weight", 100}});
  kernels::Step step{};
  step.tokens = 7;
  const std::chrono::nanoseconds ends[] = {1ms, 4ms, 9ms};
  p.add(step, ends);
  p.add(step, ends);
  return p;
}

TEST(Profile, SumsCallsThatDifferInTheirLayer) {
  const Profile p = example();
  EXPECT_EQ(p.steps(), 2);
  EXPECT_DOUBLE_EQ(p.seconds(), 0.018);
  const std::vector<ProfileRow> rows = p.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].what, "linear: attn_q,attn_k");
  EXPECT_EQ(rows[0].calls, 4);
  EXPECT_DOUBLE_EQ(rows[0].seconds, 0.016);
  EXPECT_DOUBLE_EQ(rows[0].bytes_per_second(), 400 / 0.016);
  EXPECT_EQ(rows[1].what, "embed");
  EXPECT_EQ(rows[1].bytes_per_second(), 0);
  EXPECT_THAT(p.table(), HasSubstr("| 88.9 % | 8.000 | 2 | 0.0 | linear: attn_q,attn_k |"));
}

TEST(Profile, TracesEveryCallOfTheLastRun) {
  Profile p = example();
  const std::string events[] = {p.events(0, "pp \"7\""), p.events(1, "tg")};
  const boost::json::value trace = boost::json::parse(chrome_trace(events));
  const boost::json::array& all = trace.at("traceEvents").as_array();
  ASSERT_EQ(all.size(), 2u * (1 + 2 * 3));
  EXPECT_EQ(all[0].at("args").at("name"), "pp \"7\"");
  EXPECT_EQ(all[2].at("ph"), "X");
  EXPECT_DOUBLE_EQ(all[2].at("ts").as_double(), 1000);
  EXPECT_DOUBLE_EQ(all[2].at("dur").as_double(), 3000);
  EXPECT_EQ(all[2].at("args").at("tokens"), 7);
  EXPECT_EQ(all[7].at("pid"), 1);
  p.start_trace();
  EXPECT_EQ(
      boost::json::parse(chrome_trace(std::vector{p.events(0, "")})).at("traceEvents").as_array().size(), 1u);
}

std::vector<BenchResult> profile_of(const EngineOptions& engine) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder.path() / "tiny.gguf");
  std::vector<BenchResult> results;
  bench(folder.path() / "tiny.gguf",
        {.prompts = {20},
         .gens = {3},
         .depths = {8},
         .threads = {2},
         .repetitions = 2,
         .profile = true,
         .device = engine.device},
        [&](const BenchResult& r) { results.push_back(r); });
  return results;
}

TEST(Profile, WatchesTheTimedStepsOnly) {
  const std::vector<BenchResult> results = profile_of({});
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].profile->steps(), 2);      // a prompt in one batch, twice; neither warm-up nor depth
  EXPECT_EQ(results[1].profile->steps(), 2 * 3);  // token by token
  std::vector<std::string> products;
  for (const ProfileRow& row : results[1].profile->rows()) {
    EXPECT_GT(row.calls, 0);
    if (row.weight_bytes > 0) products.push_back(row.what.substr(row.what.find(": ") + 2));
  }
  std::ranges::sort(products);
  EXPECT_THAT(products, ElementsAre("attn_output", "attn_q,attn_k,attn_v", "ffn_down", "ffn_gate,ffn_up",
                                    "token_embd"));
  for (const BenchResult& r : results) {
    double total = 0;
    for (const double s : r.seconds) total += s;
    EXPECT_GT(r.profile->seconds(), 0);
    EXPECT_LT(r.profile->seconds(), total);
  }
  BenchReport report(BenchFormat::json);
  const std::string text = report.begin() + report.row(results[0]) + report.end();
  EXPECT_EQ(boost::json::parse(text).at(0).at("profile").as_array().size(),
            results[0].profile->rows().size());
}

TEST(Profile, SaysWhereItIsNotPossible) { EXPECT_THROW(profile_of({.device = Device::emulator}), Error); }

}  // namespace
}  // namespace medlar::tune
