// The lock against sleep: held exactly while somebody holds it, and harmless where there is none.
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "host/awake.h"

namespace medlar::host {
namespace {

TEST(Awake, HoldsAreCounted) {
  Awake awake("testing");
  EXPECT_FALSE(awake.locked());
  Awake::Hold first = awake.hold();
  if (!awake.locked()) GTEST_SKIP() << "this machine has no lock against sleep";
  {
    const Awake::Hold second = awake.hold();
    first = Awake::Hold();
    EXPECT_TRUE(awake.locked());
  }
  EXPECT_FALSE(awake.locked());
}

TEST(Awake, AHoldMayOutliveItAndThreadsMayShareIt) {
  Awake::Hold left;
  {
    Awake awake("testing");
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&awake] {
        for (int k = 0; k < 100; ++k) awake.hold();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(awake.locked());
    left = awake.hold();
  }
}

}  // namespace
}  // namespace medlar::host
