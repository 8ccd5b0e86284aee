// medlar bench --sustained: speed over time, and its picture.
#pragma once

#include <filesystem>
#include <string>

#include "cli/console.h"
#include "tune/bench_report.h"
#include "tune/sustained.h"

namespace medlar::cli {

// "90s", "10m", "1h", "1h30m": seconds, from 1 to a day. Throws Error(usage).
double parse_duration(const std::string& text);

struct SustainedRun {
  std::string model_name;  // to show
  tune::BenchFormat format = tune::BenchFormat::md;
  std::string plot;  // a file that ends in .svg or .html; empty: none
  tune::SustainedOptions options;
};

// Throws Error(usage) unless the name ends in .svg or .html.
void check_plot_name(const std::string& file);
bool is_page(const std::string& file);  // .html

// Shows each interval when it is complete; Ctrl-C ends it with a report of what is.
void run_sustained(const std::filesystem::path& path, const SustainedRun& run, const Console& console);

}  // namespace medlar::cli
