// The sources of Linux: trees of files that are invented, and this machine's own.
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "host/linux_files.h"
#include "host/signals.h"
#include "tests/host/linux_tree.h"

namespace medlar::host {
namespace {

constexpr long kGiBInKb = 1 << 20;
constexpr std::uint64_t kGiB = 1ULL << 30;

class LinuxSignals : public testing::Test {
 protected:
  void zone(int i, const std::string& type, int thousandths) {
    const std::string folder = "sys/class/thermal/thermal_zone" + std::to_string(i) + "/";
    tree_.write(folder + "type", type + "\n");
    tree_.write(folder + "temp", std::to_string(thousandths) + "\n");
  }
  void trip(int i, int number, const std::string& type, int thousandths) {
    const std::string file =
        "sys/class/thermal/thermal_zone" + std::to_string(i) + "/trip_point_" + std::to_string(number);
    tree_.write(file + "_type", type + "\n");
    tree_.write(file + "_temp", std::to_string(thousandths) + "\n");
  }
  void supply(const std::string& name, const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [file, text] : files)
      tree_.write("sys/class/power_supply/" + name + "/" + file, text + "\n");
  }
  void group(const std::string& path, const std::vector<std::pair<std::string, std::string>>& files) {
    for (const auto& [file, text] : files) tree_.write("sys/fs/cgroup/" + path + "/" + file, text + "\n");
  }
  void version2() {
    tree_.write("proc/self/cgroup", "0::/user/app\n");
    tree_.write("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  }
  Sources open(std::vector<std::string>* missing = nullptr) {
    return linux_sources({.root = tree_.root(), .missing = missing});
  }
  static Source* find(const Sources& sources, std::string_view name) {
    const auto found = std::ranges::find_if(
        sources, [&](const auto& s) { return s->name().find(name) != std::string_view::npos; });
    return found == sources.end() ? nullptr : found->get();
  }

  LinuxTree tree_;
};

TEST_F(LinuxSignals, AnEmptyTreeHasNothingButMains) {
  std::vector<std::string> missing;
  const Sources sources = open(&missing);
  ASSERT_EQ(sources.size(), 1U);
  EXPECT_EQ(missing.size(), 4U);
  const auto signals = sources[0]->read(Clock::now(), 0);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(signals[0], Signal(PowerSignal{}));
}

TEST_F(LinuxSignals, FreeShareOfTheMachine) {
  EXPECT_FALSE(free_memory(tree_.root()));
  tree_.memory(16 * kGiBInKb, 4 * kGiBInKb);
  EXPECT_DOUBLE_EQ(free_memory(tree_.root()).value().share, 0.25);
  EXPECT_FALSE(has_memory_limit(tree_.root()));
  tree_.memory(512 * kGiBInKb, 16 * kGiBInKb);
  EXPECT_DOUBLE_EQ(free_memory(tree_.root()).value().share, 0.5) << "of 32 GiB";
  tree_.memory(512 * kGiBInKb, 256 * kGiBInKb);
  EXPECT_DOUBLE_EQ(free_memory(tree_.root()).value().share, 1);
}

TEST_F(LinuxSignals, TheTightestGroupCountsAndItsFilesAreFree) {
  tree_.memory(16 * kGiBInKb, 12 * kGiBInKb);
  version2();
  group("user/app", {{"memory.max", "max"}, {"memory.current", std::to_string(3 * kGiB)}});
  EXPECT_FALSE(has_memory_limit(tree_.root()));
  group("user", {{"memory.max", std::to_string(4 * kGiB)},
                 {"memory.high", "max"},
                 {"memory.current", std::to_string(4 * kGiB)},
                 {"memory.stat", "anon 1\ninactive_file " + std::to_string(kGiB) + "\nactive_file " +
                                     std::to_string(kGiB / 2)}});
  EXPECT_TRUE(has_memory_limit(tree_.root()));
  EXPECT_DOUBLE_EQ(free_memory(tree_.root()).value().share, 1.5 / 4);
}

TEST_F(LinuxSignals, Version1Group) {
  tree_.memory(16 * kGiBInKb, 12 * kGiBInKb);
  tree_.write("proc/self/cgroup", "4:memory:/app\n0::/\n");
  tree_.write("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  group("memory", {{"memory.limit_in_bytes", "9223372036854771712"}});
  group("memory/app", {{"memory.limit_in_bytes", std::to_string(2 * kGiB)},
                       {"memory.usage_in_bytes", std::to_string(2 * kGiB)},
                       {"memory.stat", "total_inactive_file 0\ntotal_active_file " + std::to_string(kGiB)}});
  EXPECT_DOUBLE_EQ(free_memory(tree_.root()).value().share, 0.5);
}

TEST_F(LinuxSignals, ShareBecomesPressure) {
  const struct {
    double share;
    MemoryPressure pressure;
  } kCases[] = {{0.5, MemoryPressure::normal},
                {0.09, MemoryPressure::normal},
                {0.07, MemoryPressure::warning},
                {0.03, MemoryPressure::critical},
                {0, MemoryPressure::critical}};
  for (const auto& [share, pressure] : kCases) {
    tree_.memory(16 * kGiBInKb, static_cast<long>(share * 16 * kGiBInKb));
    const Sources sources = open();
    Source* source = find(sources, "free memory");
    ASSERT_NE(source, nullptr);
    const auto signals = source->read(Clock::now(), 0);
    ASSERT_EQ(signals.size(), 1U);
    EXPECT_EQ(std::get<MemorySignal>(signals[0]).pressure, pressure) << share;
  }
}

TEST_F(LinuxSignals, CloserToTheEdgeMeansMoreOften) {
  tree_.memory(16 * kGiBInKb, 14 * kGiBInKb);
  const Sources sources = open();
  Source* source = find(sources, "free memory");
  const Time first = *source->due();
  source->read(first, 0);
  const Duration relaxed = *source->due() - first;
  EXPECT_TRUE(source->read(first + relaxed / 2, 0).empty()) << "it was not due";
  tree_.memory(16 * kGiBInKb, kGiBInKb);
  const Time second = *source->due();
  source->read(second, 0);
  const Duration alert = *source->due() - second;
  EXPECT_LT(alert, std::chrono::milliseconds(200));
  EXPECT_GT(relaxed, alert);
  version2();
  group("user/app", {{"memory.max", std::to_string(kGiB / 4)}, {"memory.current", "0"}});
  tree_.memory(16 * kGiBInKb, 14 * kGiBInKb);
  const Time third = *source->due();
  source->read(third, 0);
  EXPECT_LT(*source->due() - third, std::chrono::milliseconds(200)) << "a small group is filled quickly";
}

TEST_F(LinuxSignals, HeatAgainstThePassiveTrip) {
  zone(0, "acpitz", 99000);
  EXPECT_EQ(read_heat(tree_.root()), std::nullopt) << "not the processor's";
  zone(1, "x86_pkg_temp", 50000);
  trip(1, 0, "critical", 105000);
  trip(1, 1, "passive", 90000);
  const auto state_at = [&](int thousandths) {
    zone(1, "x86_pkg_temp", thousandths);
    return read_heat(tree_.root())->state;
  };
  EXPECT_EQ(read_heat(tree_.root())->limit, 90);
  EXPECT_EQ(state_at(60000), ThermalState::nominal);
  EXPECT_EQ(state_at(80000), ThermalState::fair);
  EXPECT_EQ(state_at(89000), ThermalState::serious);
  EXPECT_EQ(state_at(97000), ThermalState::critical);
}

TEST_F(LinuxSignals, AbsurdTripsAreIgnored) {
  zone(0, "cpu-thermal", 60000);
  trip(0, 0, "passive", -274000);
  trip(0, 1, "passive", 0);
  trip(0, 2, "passive", 9000000);
  EXPECT_EQ(read_heat(tree_.root())->limit, std::nullopt);
  EXPECT_EQ(read_heat(tree_.root())->state, ThermalState::nominal);
}

TEST_F(LinuxSignals, MainsAndBatteries) {
  EXPECT_EQ(read_power(tree_.root()), PowerSignal{});
  supply("hid-mouse",
         {{"type", "Battery"}, {"scope", "Device"}, {"capacity", "5"}, {"status", "Discharging"}});
  EXPECT_EQ(read_power(tree_.root()), PowerSignal{}) << "a mouse's battery";
  supply("BAT0", {{"type", "Battery"}, {"capacity", "40"}, {"status", "Discharging"}});
  EXPECT_EQ(read_power(tree_.root()), (PowerSignal{.mains = false, .charge = 0.4}));
  supply("BAT1", {{"type", "Battery"}, {"capacity", "80"}, {"status", "Unknown"}});
  supply("AC", {{"type", "Mains"}, {"online", "0"}});
  EXPECT_EQ(read_power(tree_.root()).mains, false);
  EXPECT_DOUBLE_EQ(read_power(tree_.root()).charge.value(), 0.6);
  supply("AC", {{"type", "Mains"}, {"online", "1"}});
  EXPECT_TRUE(read_power(tree_.root()).mains);
  supply("BAT0", {{"type", "Battery"}, {"capacity", "-3"}});
  EXPECT_LE(read_power(tree_.root()).charge.value(), 1);
}

TEST_F(LinuxSignals, PowerProfiles) {
  tree_.write("sys/firmware/acpi/platform_profile", "balanced\n");
  EXPECT_FALSE(read_power(tree_.root()).low_power);
  tree_.write("sys/firmware/acpi/platform_profile", "low-power\n");
  EXPECT_TRUE(read_power(tree_.root()).low_power);
  tree_.write("sys/firmware/acpi/platform_profile", "performance\n");
  tree_.write("var/lib/power-profiles-daemon/state.ini",
              "[State]\nDriver=intel_pstate\nProfile=power-saver\n");
  EXPECT_TRUE(read_power(tree_.root()).low_power);
}

#if defined(__linux__)

TEST_F(LinuxSignals, EventsOfAGroup) {
  tree_.memory(20 * kGiBInKb, 4 * kGiBInKb);
  version2();
  group("user/app", {{"memory.events", "low 0\nhigh 3\nmax 0\noom 0\noom_kill 0"}});
  const Sources sources = open();
  Source* source = find(sources, "memory.events");
  ASSERT_NE(source, nullptr);
  EXPECT_GE(source->descriptor(), 0);
  const Time now = Clock::now();
  EXPECT_TRUE(source->read(now, POLLPRI).empty()) << "nothing happened since it was opened";
  group("user/app", {{"memory.events", "low 0\nhigh 4\nmax 0\noom 0\noom_kill 0"}});
  auto signals = source->read(now, POLLPRI);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(std::get<MemorySignal>(signals[0]).pressure, MemoryPressure::warning);
  group("user/app", {{"memory.events", "low 0\nhigh 4\nmax 9\noom 1\noom_kill 0"}});
  signals = source->read(now, POLLPRI);
  ASSERT_EQ(signals.size(), 1U);
  EXPECT_EQ(std::get<MemorySignal>(signals[0]).pressure, MemoryPressure::critical);
  tree_.memory(20 * kGiBInKb, 12 * kGiBInKb);
  group("user/app", {{"memory.events", "low 0\nhigh 5\nmax 9\noom 1\noom_kill 0"}});
  EXPECT_TRUE(source->read(now, POLLPRI).empty()) << "only files come and go";
  tree_.write("sys/fs/cgroup/user/app/memory.events", "");
  source->read(now, POLLPRI);
  EXPECT_EQ(source->descriptor(), -1) << "a group that is gone must not keep its reader awake";
}

// Whatever this machine has: every source can be asked at any time, and none keeps poll(2) busy.
TEST(ThisMachine, SourcesWork) {
  std::vector<std::string> missing;
  const Sources sources = linux_sources({.missing = &missing});
  ASSERT_FALSE(sources.empty());
  for (const auto& source : sources) {
    EXPECT_FALSE(source->name().empty());
    source->read(Clock::now(), 0);
    if (source->due()) {
      EXPECT_GT(*source->due(), Clock::now());
    }
    if (source->descriptor() < 0) continue;
    pollfd ready{.fd = source->descriptor(), .events = source->poll_events(), .revents = 0};
    ::poll(&ready, 1, 0);
    EXPECT_EQ(ready.revents & (POLLERR | POLLNVAL | POLLHUP), 0) << source->name();
  }
}

#endif

}  // namespace
}  // namespace medlar::host
