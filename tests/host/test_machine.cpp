// The catalogue of machines, and the words that name one.
#include <algorithm>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "host/machine.h"

namespace medlar::host {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;

std::string refusal(std::string_view text) {
  try {
    parse_machine(text);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return std::string(e.what()) + " | " + e.hint();
  }
  return "accepted";
}

TEST(Machine, TakesManySpellings) {
  for (const char* text :
       {"MacBook Air M2 16GB", "m2 16g", "Apple M2 (2022) 16 GiB", "16GB M2", "M2, 8-core GPU, 16 GB",
        "Mac mini M2 8 cores 16GB", "13-inch MacBook Air M2 with 16 GB of memory"}) {
    const Machine m = parse_machine(text);
    EXPECT_EQ(m.name, "Apple M2, 8 GPU cores, 16 GB") << text;
    EXPECT_EQ(m.memory_bytes, 16 * kGibibyte);
    EXPECT_EQ(m.threads, 4);
  }
}

TEST(Machine, VariantsStandBehindTheChip) {
  EXPECT_EQ(parse_machine("MacBook Pro M2 16GB").chip->variant, ChipVariant::base);
  EXPECT_EQ(parse_machine("MacBook Pro M2 Pro 16GB").chip->variant, ChipVariant::pro);
  EXPECT_EQ(parse_machine("m3max 64g").chip->variant, ChipVariant::max);
  EXPECT_EQ(parse_machine("Mac Studio M2 Ultra 76\u2011Core GPU 192GB").chip->gpu_cores, 76);
  EXPECT_EQ(parse_machine("M3 Max 14-core CPU 36GB").chip->gpu_cores, 30);
}

TEST(Machine, MemoryTellsTheConfigurationWhereOnlyOneHasIt) {
  EXPECT_EQ(parse_machine("M3 Max 36GB").chip->bandwidth, 300);
  EXPECT_EQ(parse_machine("M3 Max 64GB").chip->bandwidth, 400);
  EXPECT_TRUE(parse_machine("M3 Max 64GB").note.empty());
  EXPECT_THAT(parse_machine("M1 8GB").note, HasSubstr("7 GPU cores, the fewest"));
}

TEST(Machine, RefusesWithWhatThereIs) {
  EXPECT_THAT(refusal("M9 16GB"), HasSubstr("it has M1 to M5"));
  EXPECT_THAT(refusal("M4 Ultra 128GB"), HasSubstr("it has M4, M4 Pro, M4 Max"));
  EXPECT_THAT(refusal("M2"), HasSubstr("an M2 comes with 8, 16 or 24 GB"));
  EXPECT_THAT(refusal("M2 32GB"), HasSubstr("it comes with 8, 16 or 24 GB"));
  EXPECT_THAT(refusal("M2 12-core GPU 16GB"), HasSubstr("it has 8 or 10"));
  EXPECT_THAT(refusal("ThinkPad 16GB"), HasSubstr("\"thinkpad\""));
  EXPECT_THAT(refusal("16GB"), HasSubstr("names no chip"));
  EXPECT_THAT(refusal(""), HasSubstr("names no chip"));
  EXPECT_THAT(refusal("M2 99999999999999999999GB"), HasSubstr("--machine"));
  EXPECT_THAT(refusal("M1 64"), HasSubstr("64 of what?"));
}

// What Metal reports as recommendedMaxWorkingSetSize, as llama.cpp and others print it (MB = 1e6 bytes): 8 GB
// 5726.63, 16 GB 11453.25, 64 GB 51539.61, 192 GB 154618.82.
TEST(Machine, WorkingSetFollowsMetal) {
  EXPECT_NEAR(static_cast<double>(gpu_working_set(8 * kGibibyte)), 5726.63e6, 1e6);
  EXPECT_NEAR(static_cast<double>(gpu_working_set(16 * kGibibyte)), 11453.25e6, 1e6);
  EXPECT_NEAR(static_cast<double>(gpu_working_set(64 * kGibibyte)), 51539.61e6, 1e6);
  EXPECT_NEAR(static_cast<double>(gpu_working_set(192 * kGibibyte)), 154618.82e6, 1e6);
}

TEST(Machine, TheCatalogueIsInOrderAndWhole) {
  const auto chips = apple_chips();
  EXPECT_TRUE(std::ranges::is_sorted(
      chips, {}, [](const AppleChip& c) { return std::tuple(c.family, c.variant, c.gpu_cores); }));
  std::set<int> families;
  for (const AppleChip& c : chips) {
    families.insert(c.family);
    EXPECT_GT(c.performance_cores, 0);
    EXPECT_GT(c.gpu_cores, 0);
    EXPECT_GT(c.bandwidth, 60);
    EXPECT_GT(c.memory_sizes[0], 0);
    const auto end = std::ranges::find(c.memory_sizes, 0);
    EXPECT_TRUE(std::is_sorted(c.memory_sizes.begin(), end));
    // Every row can be named.
    const std::string text =
        fmt::format("M{} {} {}-core GPU {}GB", c.family, name(c.variant), c.gpu_cores, c.memory_sizes[0]);
    EXPECT_EQ(parse_machine(text).chip->bandwidth, c.bandwidth) << text;
  }
  EXPECT_EQ(families, (std::set<int>{1, 2, 3, 4, 5}));
}

TEST(Machine, ThisOneLeavesAMargin) {
  HostInfo host{.cpu = "CPU", .memory_bytes = 16'000'000'000, .available_bytes = 8'000'000'000};
  EXPECT_EQ(machine_of(host).limit_bytes, 7'750'000'000U);
  host.available_bytes = 1'000'000;
  EXPECT_EQ(machine_of(host).limit_bytes, 0U);
  host.available_bytes = 0;  // unknown
  EXPECT_EQ(machine_of(host).limit_bytes, gpu_working_set(host.memory_bytes));
  EXPECT_GT(machine_of({}).limit_bytes, std::uint64_t{1} << 60);
}

}  // namespace
}  // namespace medlar::host
