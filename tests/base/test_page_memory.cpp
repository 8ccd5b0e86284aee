// Anonymous memory by pages.
#include <algorithm>
#include <cstdint>
#include <utility>

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/page_memory.h"

namespace medlar {
namespace {

constexpr std::size_t kLarge = std::size_t{2} << 20;

class PageMemoryOfEither : public ::testing::TestWithParam<PageSize> {};

TEST_P(PageMemoryOfEither, StartsAsZerosAndIsWritableToTheEnd) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, kLarge - 1, 2 * kLarge + 4097}) {
    PageMemory memory(bytes, GetParam());
    ASSERT_EQ(memory.size(), bytes);
    EXPECT_TRUE(std::ranges::all_of(memory.span(), [](std::byte b) { return b == std::byte{0}; }));
    std::ranges::fill(memory.span(), std::byte{7});
    PageMemory moved = std::move(memory);
    EXPECT_EQ(memory.data(), nullptr);
    EXPECT_EQ(moved.span().back(), std::byte{7});
  }
}

TEST_P(PageMemoryOfEither, ReleasesWholePagesOnly) {
  PageMemory memory(2 * kLarge, GetParam());
  std::ranges::fill(memory.span(), std::byte{7});
  memory.release(100, kLarge);
  EXPECT_EQ(memory.data()[100], std::byte{7});
  EXPECT_EQ(memory.data()[kLarge / 2], std::byte{0});
  EXPECT_EQ(memory.data()[kLarge + 100], std::byte{7});
}

INSTANTIATE_TEST_SUITE_P(PageMemory, PageMemoryOfEither,
                         ::testing::Values(PageSize::normal, PageSize::large));

TEST(PageMemory, LargePagesAreAligned) {
  const PageMemory memory(kLarge, PageSize::large);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.data()) % kLarge, 0u);
}

TEST(PageMemory, MoreThanTheAddressSpaceIsRefused) { EXPECT_THROW(PageMemory(std::size_t{1} << 62), Error); }

}  // namespace
}  // namespace medlar
