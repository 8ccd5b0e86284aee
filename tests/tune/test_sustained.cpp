// Speed over time: intervals cut by a scripted clock, statistics worked out by hand, and the documents.
#include <boost/json.hpp>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/tiny_model.h"
#include "tune/sensors.h"
#include "tune/sustained.h"
#include "tune/sustained_report.h"

namespace medlar::tune {
namespace {

using ::testing::HasSubstr;

constexpr BenchTest kRound{.prompt = 100, .gen = 10};

TEST(IntervalCutter, AnIntervalIsWholeRounds) {
  IntervalCutter cutter(kRound, 10);
  EXPECT_FALSE(cutter.add({1, 2}, 4));
  EXPECT_FALSE(cutter.add({1, 3}, 8));
  const std::optional<Interval> first = cutter.add({2, 5}, 16);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->start, 0);
  EXPECT_EQ(first->end, 16);
  EXPECT_EQ(first->rounds, 3);
  EXPECT_DOUBLE_EQ(first->prompt_rate, 75);  // 300 tokens in 4 s
  EXPECT_DOUBLE_EQ(first->answer_rate, 3);   // 30 tokens in 10 s
  const std::optional<Interval> second = cutter.add({4, 20}, 40);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->start, 16);
  EXPECT_EQ(second->rounds, 1);
  EXPECT_DOUBLE_EQ(second->prompt_rate, 25);
  EXPECT_DOUBLE_EQ(second->answer_rate, 0.5);
  EXPECT_FALSE(cutter.finish());
}

TEST(IntervalCutter, TheRestCountsFromHalfAnInterval) {
  IntervalCutter cutter(kRound, 10);
  ASSERT_TRUE(cutter.add({1, 1}, 12));
  cutter.add({1, 1}, 16.9);
  EXPECT_FALSE(cutter.finish());
  IntervalCutter longer(kRound, 10);
  ASSERT_TRUE(longer.add({1, 1}, 12));
  longer.add({1, 1}, 17);
  const std::optional<Interval> rest = longer.finish();
  ASSERT_TRUE(rest);
  EXPECT_EQ(rest->start, 12);
  EXPECT_EQ(rest->end, 17);
}

TEST(IntervalCutter, AShortRunIsOneInterval) {
  IntervalCutter cutter({.gen = 10}, 100);
  EXPECT_FALSE(cutter.finish());
  cutter.add({0, 2}, 3);
  const std::optional<Interval> all = cutter.finish();
  ASSERT_TRUE(all);
  EXPECT_EQ(all->prompt_rate, 0);
  EXPECT_DOUBLE_EQ(all->answer_rate, 5);
}

// A machine that warms up: rates worked out by hand.
std::vector<Interval> warming() {
  return {{.start = 0, .end = 60, .rounds = 4, .prompt_rate = 400, .answer_rate = 40, .sensors = {50, 4000}},
          {.start = 60, .end = 120, .rounds = 4, .prompt_rate = 300, .answer_rate = 20, .sensors = {90, {}}},
          {.start = 120, .end = 200, .rounds = 5, .prompt_rate = 340, .answer_rate = 30, .sensors = {}}};
}

TEST(Course, FirstAgainstLast) {
  const std::vector<Interval> intervals = warming();
  const std::optional<Course> answer = course(intervals, &Interval::answer_rate);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->first, 40);
  EXPECT_EQ(answer->last, 30);
  EXPECT_EQ(answer->min, 20);
  EXPECT_EQ(answer->median, 30);
  EXPECT_DOUBLE_EQ(answer->sag(), 25);
  EXPECT_DOUBLE_EQ(course(intervals, &Interval::prompt_rate)->sag(), 15);
  const std::vector<Interval> unread = {{.end = 1, .answer_rate = 3}};
  EXPECT_FALSE(course(unread, &Interval::prompt_rate));
  EXPECT_FALSE(course({}, &Interval::answer_rate));
}

SustainedReport filled(BenchFormat format, std::string* document = nullptr) {
  SustainedReport report(format, {.model_path = "folder/m.gguf",
                                  .cpu = "CPU",
                                  .backend = "cpu",
                                  .test = kRound,
                                  .threads = 2,
                                  .batch = 512,
                                  .k_type = DType::q8_0,
                                  .v_type = DType::q8_0});
  std::string text = report.begin();
  for (const Interval& i : warming()) text += report.row(i);
  text += report.end();
  if (document) *document = text;
  return report;
}

std::string document(BenchFormat format) {
  std::string text;
  filled(format, &text);
  return text;
}

TEST(SustainedReport, JsonIsOneObject) {
  const boost::json::value parsed = boost::json::parse(document(BenchFormat::json));
  const boost::json::object& o = parsed.as_object();
  EXPECT_EQ(o.at("n_prompt"), 100);
  const boost::json::array& intervals = o.at("intervals").as_array();
  ASSERT_EQ(intervals.size(), 3U);
  EXPECT_EQ(intervals[1].at("answer_ts"), 20.0);
  EXPECT_EQ(intervals[1].at("celsius"), 90.0);
  EXPECT_TRUE(intervals[1].at("megahertz").is_null());
  EXPECT_EQ(o.at("summary").at("seconds"), 200.0);
  EXPECT_EQ(o.at("summary").at("answer").at("sag_percent"), 25.0);
  EXPECT_EQ(o.at("summary").at("prompt").at("median_ts"), 340.0);
}

TEST(SustainedReport, NoIntervalIsStillJson) {
  SustainedReport report(BenchFormat::json, {});
  const boost::json::value parsed = boost::json::parse(report.begin() + report.end());
  EXPECT_TRUE(parsed.at("intervals").as_array().empty());
  EXPECT_TRUE(parsed.at("summary").at("answer").is_null());
}

TEST(SustainedReport, JsonLinesEndWithTheSummary) {
  std::istringstream lines(document(BenchFormat::jsonl));
  std::vector<boost::json::value> values;
  for (std::string line; std::getline(lines, line);) values.push_back(boost::json::parse(line));
  ASSERT_EQ(values.size(), 4U);
  EXPECT_EQ(values[2].at("end_s"), 200.0);
  EXPECT_EQ(values[2].at("n_threads"), 2);
  EXPECT_EQ(values[3].at("summary").at("answer").at("min_ts"), 20.0);
}

TEST(SustainedReport, CsvIsAHeadAndTheIntervals) {
  const std::string text = document(BenchFormat::csv);
  EXPECT_EQ(std::ranges::count(text, '\n'), 4);
  EXPECT_TRUE(text.starts_with("start_s,end_s,rounds,prompt_ts,answer_ts,celsius,megahertz,model_filename,"));
}

TEST(SustainedReport, MarkdownTellsTheSag) {
  const std::string text = document(BenchFormat::md);
  EXPECT_THAT(text, HasSubstr("| 2:00.0 | 300.0 | 20.00 | 90 |  |\n"));
  EXPECT_THAT(text, HasSubstr("| writing an answer | 40.00 | 30.00 | 20.00 | 30.00 | 25.0 % |\n"));
}

TEST(SustainedReport, ThePlotHasAPanelForWhatIsKnown) {
  const Plot plot = filled(BenchFormat::md).plot();
  ASSERT_EQ(plot.panels.size(), 4U);
  EXPECT_EQ(plot.seconds, 200);
  EXPECT_EQ(plot.panels[0].points.size(), 3U);
  EXPECT_EQ(plot.panels[0].points[2].seconds, 160);  // an average stands in the middle of its interval
  EXPECT_EQ(plot.panels[0].points[2].value, 30);
  EXPECT_EQ(plot.panels[2].points.size(), 2U);
  EXPECT_EQ(plot.panels[2].points[1].seconds, 120);
  EXPECT_EQ(plot.panels[3].points.size(), 1U);
}

TEST(Sustained, RunsOnAModelUntilItIsStopped) {
  const testing::TemporaryFolder folder;
  testing::write_tiny_model(folder / "m.gguf");
  std::atomic<bool> stop = false;
  std::vector<Interval> intervals;
  int steps = 0;
  SustainedWatcher watcher;
  watcher.on_start = [](const BenchSetting& s) { EXPECT_EQ(s.test.name(), "pp20+tg3 @ d5"); };
  watcher.on_interval = [&](const Interval& i) { intervals.push_back(i); };
  // A round takes seven steps: the depth, three batches of the prompt, three tokens.
  watcher.on_progress = [&](double) { stop = ++steps == 17; };
  watcher.cancel = &stop;
  run_sustained(
      folder / "m.gguf",
      {.seconds = 1e6, .round = {.prompt = 20, .gen = 3, .depth = 5}, .engine = {.threads = 1, .batch = 8}},
      watcher);
  EXPECT_EQ(steps, 17);
  ASSERT_EQ(intervals.size(), 1U);
  EXPECT_EQ(intervals[0].rounds, 2);
  EXPECT_GT(intervals[0].prompt_rate, 0);
  EXPECT_GT(intervals[0].answer_rate, 0);
}

TEST(Sustained, ARoundOfNothingIsRefused) {
  EXPECT_THROW(run_sustained("absent.gguf", {.round = {.prompt = 0, .gen = 0}}, {}), Error);
}

// A copy of the kernel's tree.
class SensorTree {
 public:
  void write(const std::string& name, std::string_view text) {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  SensorReading read() const { return read_sensors(folder_.path()); }

 private:
  testing::TemporaryFolder folder_;
};

TEST(Sensors, NothingIsFine) { EXPECT_EQ(SensorTree().read(), SensorReading{}); }

TEST(Sensors, TheWarmestOfTheProcessor) {
  SensorTree tree;
  tree.write("sys/class/thermal/thermal_zone0/type", "acpitz");
  tree.write("sys/class/thermal/thermal_zone0/temp", "99000");
  tree.write("sys/class/thermal/thermal_zone1/type", "x86_pkg_temp");
  tree.write("sys/class/thermal/thermal_zone1/temp", "61500");
  EXPECT_EQ(tree.read().celsius, 61.5);
  tree.write("sys/class/hwmon/hwmon0/name", "nvme");
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "95000");
  tree.write("sys/class/hwmon/hwmon1/name", "k10temp");
  tree.write("sys/class/hwmon/hwmon1/temp1_input", "72250");
  tree.write("sys/class/hwmon/hwmon1/temp3_input", "70000");
  tree.write("sys/class/hwmon/hwmon1/temp1_max", "97000");
  EXPECT_EQ(tree.read().celsius, 72.25);
}

TEST(Sensors, OddValuesAreLeftOut) {
  SensorTree tree;
  tree.write("sys/class/hwmon/hwmon0/name", "coretemp");
  tree.write("sys/class/hwmon/hwmon0/temp1_input", "hot");
  tree.write("sys/class/hwmon/hwmon0/temp2_input", "2000000");
  tree.write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "0");
  EXPECT_EQ(tree.read(), SensorReading{});
}

TEST(Sensors, TheClockOfTheFastestCore) {
  SensorTree tree;
  tree.write("sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1400000");
  tree.write("sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq", "4850500");
  tree.write("sys/devices/system/cpu/cpufreq/boost", "1");
  EXPECT_EQ(tree.read().megahertz, 4850.5);
}

}  // namespace
}  // namespace medlar::tune
