#include "cli/bench_sustained.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/terminal.h"
#include "tune/sustained_report.h"

namespace medlar::cli {
namespace {

constexpr double kLongest = 24 * 3600;

double unit_seconds(char unit) { return unit == 'h' ? 3600 : unit == 'm' ? 60 : unit == 's' ? 1 : 0; }

void show_progress(ProgressBar& bar, double seconds, double total) {
  const auto milliseconds = [](double s) { return static_cast<std::uint64_t>(1000 * s); };
  bar.show({.what = "measuring",
            .done = milliseconds(std::min(seconds, total)),
            .total = milliseconds(total),
            .seconds_left = std::max(0.0, total - seconds),
            .bytes = false});
}

}  // namespace

double parse_duration(const std::string& text) {
  double seconds = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    const double unit = digits < rest.size() ? unit_seconds(rest[digits]) : 0;
    if (error != std::errc{} || unit == 0) {
      seconds = 0;
      break;
    }
    seconds += count * unit;
    rest.remove_prefix(digits + 1);
  }
  if (seconds < 1 || seconds > kLongest)
    throw Error(ErrorKind::usage, fmt::format("--sustained: \"{}\" is no time from a second to a day", text),
                "write 90s, 10m or 1h30m");
  return seconds;
}

bool is_page(const std::string& file) { return std::filesystem::path(file).extension() == ".html"; }

void check_plot_name(const std::string& file) {
  if (is_page(file) || std::filesystem::path(file).extension() == ".svg") return;
  throw Error(ErrorKind::usage, fmt::format("--plot: \"{}\" is neither .svg nor .html", file),
              "give the file one of these endings");
}

void run_sustained(const std::filesystem::path& path, const SustainedRun& run, const Console& console) {
  std::optional<AtomicFile> file;  // a place that cannot be written is told of before anything is measured
  if (!run.plot.empty()) file.emplace(run.plot);
  std::optional<tune::SustainedReport> report;
  ProgressBar bar(console.messages, stderr);
  const Interrupt interrupt;
  tune::SustainedWatcher watcher;
  watcher.on_start = [&](tune::BenchSetting setting) {
    setting.model_path = visible(run.model_name);
    report.emplace(run.format, std::move(setting));
    console.write(report->begin());
  };
  watcher.on_interval = [&](const tune::Interval& interval) {
    bar.clear();
    console.write(report->row(interval));
  };
  watcher.on_progress = [&](double seconds) { show_progress(bar, seconds, run.options.seconds); };
  watcher.cancel = &interrupt.flag();
  tune::run_sustained(path, run.options, watcher);
  bar.clear();
  console.write(report->end());
  if (!file) return;
  const tune::Plot plot = report->plot();
  const std::string picture = is_page(run.plot) ? tune::html(plot) : tune::svg(plot);
  file->write(std::as_bytes(std::span(picture)));
  file->commit();
}

}  // namespace medlar::cli
