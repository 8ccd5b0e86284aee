// A sustained run as text and as a picture.
#pragma once

#include <string>
#include <vector>

#include "tune/bench_report.h"
#include "tune/plot.h"
#include "tune/sustained.h"

namespace medlar::tune {

// The text comes in pieces, so that each interval can be shown as soon as it is there: begin() once, row()
// for each interval, end() once. Together they are one document. JSON is one object with "intervals" and
// "summary"; of JSON lines the last one is the summary; CSV has intervals only.
class SustainedReport {
 public:
  SustainedReport(BenchFormat format, BenchSetting setting) : format_(format), setting_(std::move(setting)) {}

  std::string begin() const;
  std::string row(const Interval& interval);
  std::string end() const;

  // A panel for each speed, and for temperature and clock where they are known, over the time.
  Plot plot() const;

  const std::vector<Interval>& intervals() const { return intervals_; }

 private:
  BenchFormat format_;
  BenchSetting setting_;
  std::vector<Interval> intervals_;
};

}  // namespace medlar::tune
