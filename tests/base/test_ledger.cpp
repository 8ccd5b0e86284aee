#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/ledger.h"

namespace medlar {
namespace {

TEST(Ledger, HoldsUntilTheChargeGoes) {
  const auto ledger = Ledger::make(100);
  {
    Ledger::Charge charge = ledger->charge(MemoryUse::kv, 60);
    charge.set_used(25);
    EXPECT_EQ(ledger->snapshot()[MemoryUse::kv].held, 60u);
    EXPECT_EQ(ledger->snapshot().total().used, 25u);
    const Ledger::Charge moved = std::move(charge);
    EXPECT_EQ(ledger->snapshot().total().held, 60u);
  }
  const Ledger::Snapshot after = ledger->snapshot();
  EXPECT_EQ(after.total().held, 0u);
  EXPECT_EQ(after.total().used, 0u);
  EXPECT_EQ(after.peak, 60u);
}

TEST(Ledger, RefusesWhatTheCeilingDoesNotAllow) {
  const auto ledger = Ledger::make(100'000'000);
  const Ledger::Charge weights = ledger->charge(MemoryUse::weights, 70'000'000);
  try {
    ledger->charge(MemoryUse::scratch, 30'000'001);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::out_of_memory);
    EXPECT_STREQ(error.what(),
                 "31 MB for scratch are more than the 30 MB that are left of the limit of 100 MB");
  }
  EXPECT_EQ(ledger->snapshot().total().held, 70'000'000u);
  EXPECT_NO_THROW(ledger->charge(MemoryUse::scratch, 30'000'000));
}

TEST(Ledger, ResizesOrChangesNothing) {
  const auto ledger = Ledger::make(100);
  Ledger::Charge charge = ledger->charge(MemoryUse::buffers, 10);
  charge.resize(100);
  EXPECT_THROW(charge.resize(101), Error);
  EXPECT_EQ(ledger->snapshot()[MemoryUse::buffers].held, 100u);
  charge.resize(0);
  EXPECT_EQ(ledger->snapshot().total().held, 0u);
}

TEST(Ledger, ALowerCeilingTakesNothingBack) {
  const auto ledger = Ledger::make();
  Ledger::Charge charge = ledger->charge(MemoryUse::kv, 1000);
  ledger->set_ceiling(500);
  EXPECT_THROW(ledger->charge(MemoryUse::kv, 1), Error);
  charge.resize(499);
  EXPECT_NO_THROW(ledger->charge(MemoryUse::kv, 1));
}

TEST(Ledger, ReplacingAChargeGivesTheOldOneBack) {
  const auto ledger = Ledger::make();
  Ledger::Charge charge = ledger->charge(MemoryUse::kv, 5);
  charge = ledger->charge(MemoryUse::scratch, 7);
  EXPECT_EQ(ledger->snapshot()[MemoryUse::kv].held, 0u);
  EXPECT_EQ(ledger->snapshot()[MemoryUse::scratch].held, 7u);
}

TEST(Ledger, KeepsItsBooksWhateverThreadsDo) {
  const auto ledger = Ledger::make(1000);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 2000; ++round) {
        try {
          Ledger::Charge charge = ledger->charge(MemoryUse::kv, 300);
          charge.set_used(200);
          charge.resize(100);
        } catch (const Error&) {  // three others hold theirs
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger->snapshot().total().held, 0u);
  EXPECT_EQ(ledger->snapshot().total().used, 0u);
  EXPECT_LE(ledger->snapshot().peak, 1000u);
}

}  // namespace
}  // namespace medlar
