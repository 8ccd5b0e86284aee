// Scripts of signals: what a line means, and that bad ones are refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "host/script.h"

namespace medlar::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Script, EveryKindOfLine) {
  const Script script = parse_script(
      "# a comment\n"
      "4 power battery low 0.43  # at the end\n"
      "\n"
      "0.5 memory critical\n"
      "2\theat serious 92.5 95\n"
      "3 heat nominal\n"
      "5 power mains",
      "test");
  ASSERT_EQ(script.size(), 5U);
  EXPECT_EQ(script[0].at, milliseconds(500));
  EXPECT_EQ(script[0].signal, Signal(MemorySignal{.pressure = MemoryPressure::critical}));
  EXPECT_EQ(script[1].signal,
            Signal(ThermalSignal{.state = ThermalState::serious, .celsius = 92.5, .limit = 95}));
  EXPECT_EQ(script[2].signal, Signal(ThermalSignal{}));
  EXPECT_EQ(script[3].signal, Signal(PowerSignal{.mains = false, .low_power = true, .charge = 0.43}));
  EXPECT_EQ(script[4].signal, Signal(PowerSignal{}));
}

TEST(Script, PressureThatLastsIsRepeated) {
  const Script script = parse_script("1 memory warning for 2", "test");
  ASSERT_EQ(script.size(), 9U);
  EXPECT_EQ(script.front().at, seconds(1));
  EXPECT_EQ(script.back().at, seconds(3));
}

TEST(Script, TellsEachSignalOnce) {
  const Time start{seconds(100)};
  const auto source =
      make_scripted(parse_script("1 memory warning\n1 power battery\n2 heat fair", "test"), start);
  EXPECT_EQ(source->due(), start + seconds(1));
  EXPECT_TRUE(source->read(start, 0).empty());
  EXPECT_EQ(source->read(start + seconds(1), 0).size(), 2U);
  EXPECT_EQ(source->due(), start + seconds(2));
  EXPECT_EQ(source->read(start + seconds(9), 0).size(), 1U);
  EXPECT_EQ(source->due(), std::nullopt);
  EXPECT_TRUE(source->read(start + seconds(99), 0).empty());
}

TEST(Script, BadLinesAreNamed) {
  for (const char* bad : {"memory warning",
                          "1",
                          "1 memory",
                          "1 memory loud",
                          "1 memory warning now",
                          "1 heat",
                          "1 heat 5",
                          "1 heat fair warm",
                          "1 heat fair 200",
                          "1 power",
                          "1 power solar",
                          "1 power battery 2",
                          "-1 memory warning",
                          "nan memory warning",
                          "1e99 memory warning",
                          "1 memory warning for",
                          "1 memory warning for 1e9",
                          "1 weather sunny",
                          "1 power mains 0.5 low",
                          "1x memory warning"}) {
    try {
      parse_script(std::string("0 power mains\n") + bad, "file.txt");
      ADD_FAILURE() << bad << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::bad_file);
      EXPECT_THAT(e.what(), testing::StartsWith("file.txt: line 2: ")) << bad;
    }
  }
}

TEST(Script, MissingFile) { EXPECT_THROW(read_script("/nonexistent/script"), Error); }

}  // namespace
}  // namespace medlar::host
