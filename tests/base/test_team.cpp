// The thread team: every member runs, barriers order memory, sleepers wake, failure to start is an error.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/team.h"

namespace medlar {
namespace {

using namespace std::chrono_literals;

class TeamOfSize : public testing::TestWithParam<int> {};

TEST_P(TeamOfSize, RunsEveryMemberOnceAndTheCallerAsMemberZero) {
  Team team({.threads = GetParam()});
  ASSERT_EQ(team.size(), GetParam());
  std::vector<int> calls(static_cast<std::size_t>(team.size()));  // plain: run() orders memory
  std::vector<std::thread::id> ids(calls.size());
  for (int run = 1; run <= 200; ++run) {
    team.run([&](int member) {
      ++calls[static_cast<std::size_t>(member)];
      ids[static_cast<std::size_t>(member)] = std::this_thread::get_id();
    });
    for (const int c : calls) ASSERT_EQ(c, run);
  }
  EXPECT_EQ(ids[0], std::this_thread::get_id());
}

TEST_P(TeamOfSize, BarrierSeparatesSteps) {
  Team team({.threads = GetParam()});
  const auto n = static_cast<std::size_t>(team.size());
  constexpr int kSteps = 300;
  std::vector<int> step(n, 0);
  std::atomic<int> wrong = 0;
  team.run([&](int member) {
    for (int s = 1; s <= kSteps; ++s) {
      step[static_cast<std::size_t>(member)] = s;
      team.barrier(member);
      for (const int other : step) wrong += other != s;
      team.barrier(member);
    }
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(std::accumulate(step.begin(), step.end(), 0), kSteps * team.size());
}

TEST_P(TeamOfSize, ALimitLeavesMembersOutAndBarriersHoldAmongTheRest) {
  Team team({.threads = GetParam()});
  const auto n = static_cast<std::size_t>(team.size());
  std::vector<int> calls(n, 0), expected(n, 0);
  std::atomic<int> wrong = 0;
  for (int run = 0; run < 300; ++run) {
    const int members = 1 + run * 7 % team.size();
    team.limit(members);
    std::vector<int> step(n, 0);
    team.run([&](int member) {
      ++calls[static_cast<std::size_t>(member)];
      wrong += team.active() != members;
      for (int s = 1; s <= run % 5; ++s) {
        step[static_cast<std::size_t>(member)] = s;
        team.barrier(member);
        for (int other = 0; other < members; ++other) wrong += step[static_cast<std::size_t>(other)] != s;
        team.barrier(member);
      }
    });
    for (int member = 0; member < members; ++member) ++expected[static_cast<std::size_t>(member)];
    ASSERT_EQ(calls, expected);
  }
  EXPECT_EQ(wrong, 0);
}

TEST(Team, ALimitIsClamped) {
  Team team({.threads = 3});
  const auto called = [&] {
    std::atomic<int> calls = 0;
    team.run([&](int) { ++calls; });
    return calls.load();
  };
  team.limit(0);
  EXPECT_EQ(called(), 1);
  team.limit(100);
  EXPECT_EQ(called(), 3);
}

TEST(Team, TheLimitMayChangeWhileItRuns) {
  Team team({.threads = 4});
  std::atomic<bool> done = false;
  std::thread changing([&] {
    for (int i = 0; !done; ++i) team.limit(1 + i % 4);
  });
  std::atomic<int> wrong = 0;
  for (int run = 0; run < 500; ++run) {
    std::atomic<int> entered = 0;
    team.run([&](int member) {
      ++entered;
      team.barrier(member);
      wrong += entered != team.active();
    });
  }
  done = true;
  changing.join();
  EXPECT_EQ(wrong, 0);
}

// 1 and 2 spin on most machines; the others are more threads than processors on some, so they sleep.
INSTANTIATE_TEST_SUITE_P(Sizes, TeamOfSize, testing::Values(1, 2, 3, 5, 8, 33));

TEST(Team, SleepingMembersWakeForTheNextRunAndInsideABarrier) {
  Team team({.threads = 2, .spin = 1us});
  int value = 0;
  int seen = 0;
  for (int i = 1; i <= 5; ++i) {
    std::this_thread::sleep_for(5ms);  // the worker sleeps
    team.run([&](int member) {
      if (member == 0) {
        std::this_thread::sleep_for(5ms);  // the worker sleeps in the barrier
        value = i;
      }
      team.barrier(member);
      if (member == 1) seen = value;
    });
    ASSERT_EQ(seen, i);
  }
}

TEST(Team, SpinOfZeroStillWorks) {
  Team team({.threads = 4, .spin = 0us});
  std::atomic<int> calls = 0;
  for (int i = 0; i < 100; ++i) {
    team.run([&](int member) {
      team.barrier(member);
      ++calls;
    });
  }
  EXPECT_EQ(calls, 400);
}

TEST(Team, IdleWorkersBurnNothing) {
  Team team({.threads = 2, .spin = 50us});
  team.run([](int) {});
  std::this_thread::sleep_for(5ms);
  const std::clock_t before = std::clock();  // processor time of the whole process
  std::this_thread::sleep_for(200ms);
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.05);
}

TEST(Team, MayBeRunFromDifferentThreadsInTurn) {
  Team team({.threads = 3});
  std::atomic<int> calls = 0;
  for (int i = 0; i < 20; ++i) std::thread([&] { team.run([&](int) { ++calls; }); }).join();
  EXPECT_EQ(calls, 60);
}

TEST(Team, TakesTemporaryLvalueAndConstFunctions) {
  Team team({.threads = 2});
  std::atomic<int> sum = 0;
  const auto constant = [&](int member) { sum += member + 1; };
  team.run(constant);
  auto mutable_count = [&sum](int) mutable { ++sum; };
  team.run(mutable_count);
  EXPECT_EQ(sum, 5);
}

TEST(Team, RejectsBadOptions) {
  for (const int threads : {0, -1, 1025, 1 << 30}) EXPECT_THROW(Team({.threads = threads}), Error);
#if defined(__linux__)
  EXPECT_THROW(Team({.threads = 2, .cpus = {-1}}), Error);
  EXPECT_THROW(Team({.threads = 2, .cpus = {1 << 20}}), Error);
#endif
}

TEST(Team, PinsWorkers) {
#if defined(__linux__)
  Team team({.threads = 2, .cpus = {0}});
  int cpu = -1;
  team.run([&](int member) {
    if (member == 1) cpu = sched_getcpu();
  });
  EXPECT_EQ(cpu, 0);
#else
  GTEST_SKIP() << "threads are pinned on Linux only";
#endif
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// Thread stacks are address space, so a limit on that makes thread creation fail part of the way.
void make_team_in_little_address_space() {
  const rlimit limit{256UL << 20, 256UL << 20};
  setrlimit(RLIMIT_AS, &limit);
  try {
    const Team team({.threads = 1000});
  } catch (const Error& e) {
    std::fprintf(stderr, "%s (%s)\n", e.what(), e.hint().c_str());
    std::exit(e.kind() == ErrorKind::out_of_memory && !e.hint().empty() ? 7 : 1);
  }
  std::exit(0);
}

TEST(TeamDeathTest, ThreadsThatCannotBeMadeAreAnErrorWithAHint) {
#if defined(__linux__)
  if (kSanitized) GTEST_SKIP() << "sanitizers need more address space than this test allows";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(make_team_in_little_address_space(), testing::ExitedWithCode(7),
              "cannot start thread .* of 1000");
#else
  GTEST_SKIP() << "RLIMIT_AS does not bind here";
#endif
}

}  // namespace
}  // namespace medlar
