// The assertion against sleep, over the stub of IOKit.
#include <gtest/gtest.h>

#include "host/awake.h"
#include "tests/host/apple_stub/machine.h"

namespace medlar::host {
namespace {

TEST(AwakeOnApple, AssertionLivesAsLongAsItsLock) {
  apple_stub::machine() = {};
  auto lock = lock_by_iokit("testing");
  ASSERT_NE(lock, nullptr);
  EXPECT_EQ(apple_stub::machine().assertions, 1);
  lock.reset();
  EXPECT_EQ(apple_stub::machine().assertions, 0);
  apple_stub::machine().fails = true;
  EXPECT_EQ(lock_by_iokit("testing"), nullptr);
  EXPECT_EQ(apple_stub::machine().alive, 0) << "something was not released";
}

}  // namespace
}  // namespace medlar::host
