#include "tune/sustained_report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "formats/all.h"
#include "tune/report_fields.h"

namespace medlar::tune {
namespace {

boost::json::value number_or_null(const std::optional<double>& value) {
  return value ? boost::json::value(*value) : boost::json::value(nullptr);
}

std::optional<double> unless_zero(double value) { return value > 0 ? std::optional(value) : std::nullopt; }

boost::json::object interval_fields(const Interval& i) {
  return {{"start_s", i.start},
          {"end_s", i.end},
          {"rounds", i.rounds},
          {"prompt_ts", number_or_null(unless_zero(i.prompt_rate))},
          {"answer_ts", number_or_null(unless_zero(i.answer_rate))},
          {"celsius", number_or_null(i.sensors.celsius)},
          {"megahertz", number_or_null(i.sensors.megahertz)}};
}

boost::json::value course_fields(const std::optional<Course>& c) {
  if (!c) return nullptr;
  return {{"first_ts", c->first},
          {"last_ts", c->last},
          {"min_ts", c->min},
          {"median_ts", c->median},
          {"sag_percent", c->sag()}};
}

boost::json::object summary_fields(const std::vector<Interval>& intervals) {
  return {{"seconds", intervals.empty() ? 0 : intervals.back().end},
          {"prompt", course_fields(course(intervals, &Interval::prompt_rate))},
          {"answer", course_fields(course(intervals, &Interval::answer_rate))}};
}

std::string clock_time(double seconds) {
  const auto tenths = static_cast<long long>(seconds * 10 + 0.5);
  return fmt::format("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10);
}

// An empty cell for what is not known.
std::string md_number(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "";
}

std::string md_rate_or_blank(double rate) { return rate > 0 ? md_rate(rate) : ""; }

std::string md_row(const Interval& i) {
  return fmt::format("| {} | {} | {} | {} | {} |\n", clock_time(i.end), md_rate_or_blank(i.prompt_rate),
                     md_rate_or_blank(i.answer_rate), md_number(i.sensors.celsius, 0),
                     md_number(i.sensors.megahertz, 0));
}

std::string md_course(std::string_view what, const std::optional<Course>& c) {
  if (!c) return "";
  return fmt::format("| {} | {} | {} | {} | {} | {:.1f} % |\n", what, md_rate(c->first), md_rate(c->last),
                     md_rate(c->min), md_rate(c->median), c->sag());
}

std::string md_summary(const std::vector<Interval>& intervals) {
  if (intervals.empty()) return "\nNo round was completed.\n";
  return "\n| tokens/s | first | last | lowest | median | sag |\n|---|--:|--:|--:|--:|--:|\n" +
         md_course("reading a prompt", course(intervals, &Interval::prompt_rate)) +
         md_course("writing an answer", course(intervals, &Interval::answer_rate));
}

std::string file_name(const BenchSetting& s) {
  return std::filesystem::path(s.model_path).filename().string();
}

std::string md_head(const BenchSetting& s) {
  return fmt::format(
      "{}: rounds of {} on {}, {} threads, batch {}, K / V {} / {}\n\n"
      "| until | prompt tokens/s | answer tokens/s | °C | MHz |\n|--:|--:|--:|--:|--:|\n",
      file_name(s), s.test.name(), s.backend, s.threads, s.batch, format_info(s.k_type).name,
      format_info(s.v_type).name);
}

// A curve of what the intervals know, each at its middle or, for what is read off at the end, there.
template <class Value>
std::vector<PlotPoint> points(const std::vector<Interval>& intervals, double share, const Value& value) {
  std::vector<PlotPoint> points;
  for (const Interval& i : intervals) {
    if (const std::optional<double> v = value(i)) points.push_back({i.start + share * (i.end - i.start), *v});
  }
  return points;
}

}  // namespace

std::string SustainedReport::begin() const {
  if (format_ == BenchFormat::md) return md_head(setting_);
  if (format_ != BenchFormat::json) return "";
  std::string head = boost::json::serialize(setting_fields(setting_));
  head.back() = ',';  // in place of the closing brace
  return head + "\n\"intervals\": [";
}

std::string SustainedReport::row(const Interval& interval) {
  const bool first = intervals_.empty();
  intervals_.push_back(interval);
  if (format_ == BenchFormat::md) return md_row(interval);
  boost::json::object o = interval_fields(interval);
  if (format_ == BenchFormat::json) return (first ? "\n" : ",\n") + boost::json::serialize(o);
  const boost::json::object setting = setting_fields(setting_);
  o.insert(setting.begin(), setting.end());
  if (format_ == BenchFormat::jsonl) return boost::json::serialize(o) + "\n";
  return (first ? csv_line(o, true) : "") + csv_line(o, false);
}

std::string SustainedReport::end() const {
  switch (format_) {
    case BenchFormat::md:
      return md_summary(intervals_);
    case BenchFormat::json:
      return "\n],\n\"summary\": " + boost::json::serialize(summary_fields(intervals_)) + "}\n";
    case BenchFormat::jsonl:
      return boost::json::serialize(boost::json::object{{"summary", summary_fields(intervals_)}}) + "\n";
    case BenchFormat::csv:
      return "";
  }
  return "";
}

Plot SustainedReport::plot() const {
  Plot plot{.title = file_name(setting_) + " over time",
            .subtitle = fmt::format("{}, {} threads on {}; rounds of {}", setting_.cpu, setting_.threads,
                                    setting_.backend, setting_.test.name()),
            .seconds = intervals_.empty() ? 0 : intervals_.back().end};
  const auto add = [&](PlotPanel panel) {
    if (!panel.points.empty()) plot.panels.push_back(std::move(panel));
  };
  const auto speed = [&](double Interval::* rate) {
    return points(intervals_, 0.5, [&](const Interval& i) { return unless_zero(i.*rate); });
  };
  const auto sensor = [&](std::optional<double> SensorReading::* what) {
    return points(intervals_, 1, [&](const Interval& i) { return i.sensors.*what; });
  };
  add({"Writing an answer", "tokens/s", speed(&Interval::answer_rate)});
  add({"Reading a prompt", "tokens/s", speed(&Interval::prompt_rate)});
  add({"Temperature of the processor", "°C", sensor(&SensorReading::celsius), false});
  add({"Clock of its fastest core", "MHz", sensor(&SensorReading::megahertz), false});
  return plot;
}

}  // namespace medlar::tune
