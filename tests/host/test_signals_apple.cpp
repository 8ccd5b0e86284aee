// The sources of macOS, exercised against a stub of its interfaces.
#include <algorithm>

#include <gtest/gtest.h>
#include <poll.h>

#include "host/signals_apple.h"
#include "tests/host/apple_stub/machine.h"

namespace medlar::host {
namespace {

using std::chrono::seconds;

class AppleSources : public testing::Test {
 protected:
  AppleSources() { apple_stub::machine() = {}; }
  ~AppleSources() override {
    sources_.clear();
    EXPECT_EQ(apple_stub::machine().alive, 0) << "something was not released";
  }
  Source& source(std::string_view name) {
    const auto found = std::ranges::find_if(sources_, [&](const auto& s) { return s->name() == name; });
    if (found == sources_.end()) throw std::runtime_error("no such source");
    return **found;
  }
  static bool is_ready(const Source& source) {
    pollfd ready{.fd = source.descriptor(), .events = source.poll_events(), .revents = 0};
    return ::poll(&ready, 1, 0) == 1;
  }
  template <class Kind>
  static Kind read(Source& source, Time now, short events = POLLIN) {
    const std::vector<Signal> signals = source.read(now, events);
    if (signals.size() != 1) throw std::runtime_error("not one signal");
    return std::get<Kind>(signals[0]);
  }
  void open() { sources_ = apple_sources({}); }

  Sources sources_;
  Time now_ = Clock::now();
};

TEST_F(AppleSources, PressureWakesAndIsRepeatedWhileItLasts) {
  open();
  Source& pressure = source("libdispatch memory pressure");
  EXPECT_FALSE(is_ready(pressure));
  EXPECT_EQ(pressure.due(), std::nullopt);
  apple_stub::machine().pressure_level = 2;
  apple_stub::tell_pressure(2);
  EXPECT_TRUE(is_ready(pressure));
  EXPECT_EQ(read<MemorySignal>(pressure, now_).pressure, MemoryPressure::warning);
  EXPECT_FALSE(is_ready(pressure));
  ASSERT_TRUE(pressure.due());
  EXPECT_LE(*pressure.due(), now_ + seconds(1));
  EXPECT_EQ(read<MemorySignal>(pressure, *pressure.due(), 0).pressure, MemoryPressure::warning);
  apple_stub::machine().pressure_level = 1;
  EXPECT_EQ(read<MemorySignal>(pressure, *pressure.due(), 0).pressure, MemoryPressure::normal);
  EXPECT_EQ(pressure.due(), std::nullopt);
}

TEST_F(AppleSources, PressureThatWasShortIsStillToldAtItsWorst) {
  open();
  apple_stub::tell_pressure(2);
  apple_stub::tell_pressure(4);
  apple_stub::tell_pressure(1);
  EXPECT_EQ(read<MemorySignal>(source("libdispatch memory pressure"), now_).pressure,
            MemoryPressure::critical);
}

TEST_F(AppleSources, HeatByItsLevels) {
  open();
  Source& heat = source("thermal pressure");
  constexpr ThermalState kStates[] = {ThermalState::nominal,  ThermalState::fair,     ThermalState::serious,
                                      ThermalState::critical, ThermalState::critical, ThermalState::critical};
  for (std::uint64_t level = 0; level < std::size(kStates); ++level) {
    apple_stub::post("com.apple.system.thermalpressurelevel", level);
    EXPECT_TRUE(is_ready(heat));
    EXPECT_EQ(read<ThermalSignal>(heat, now_).state, kStates[level]);
    EXPECT_FALSE(is_ready(heat));
  }
}

TEST_F(AppleSources, BatteryMainsAndLowPowerMode) {
  open();
  Source& power = source("power sources");
  EXPECT_EQ(read<PowerSignal>(power, now_, 0), PowerSignal{});
  apple_stub::machine().charge = 43;
  apple_stub::machine().mains = false;
  apple_stub::post("com.apple.system.powersources.source", 0);
  EXPECT_TRUE(is_ready(power));
  EXPECT_EQ(read<PowerSignal>(power, now_), (PowerSignal{.mains = false, .charge = 0.43}));
  apple_stub::post("com.apple.system.lowpowermode", 1);
  EXPECT_EQ(read<PowerSignal>(power, now_, 0),
            (PowerSignal{.mains = false, .low_power = true, .charge = 0.43}));
  apple_stub::post("com.apple.system.lowpowermode", 0);
}

TEST_F(AppleSources, MissingServicesAreNamed) {
  apple_stub::machine().fails = true;
  std::vector<std::string> missing;
  sources_ = apple_sources({.missing = &missing});
  EXPECT_EQ(missing.size(), 2U);
  ASSERT_EQ(sources_.size(), 1U);
  EXPECT_EQ(read<PowerSignal>(*sources_[0], now_, 0), PowerSignal{});
}

}  // namespace
}  // namespace medlar::host
