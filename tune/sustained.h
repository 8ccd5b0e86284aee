// Speed over time: the same prompt read and the same answer written again and again, to show what heat does.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tune/bench.h"
#include "tune/sensors.h"

namespace medlar::tune {

// One prompt and one answer in a fresh context: seconds each took.
struct Round {
  double prompt_seconds = 0, answer_seconds = 0;
};

// Whole rounds that followed each other, so all intervals hold the same mix of work at the same depth.
struct Interval {
  double start = 0, end = 0;  // seconds since the beginning
  int rounds = 0;
  double prompt_rate = 0, answer_rate = 0;  // tokens a second; 0: a round has none
  SensorReading sensors;                    // at its end
};

// Cuts rounds into intervals: one ends with the first round that ends `length` seconds or more after its
// start.
class IntervalCutter {
 public:
  IntervalCutter(const BenchTest& round, double length) : test_(round), length_(length) {}

  // A round that ended `now` seconds after the beginning; the interval that it completes.
  std::optional<Interval> add(const Round& round, double now);
  // What is left at the end, unless it is less than half an interval and there are others.
  std::optional<Interval> finish();

 private:
  Interval cut();

  BenchTest test_;
  double length_;
  double start_ = 0, end_ = 0;
  int cut_ = 0, rounds_ = 0;  // rounds of the interval in progress
  Round sum_;
};

// How a speed went, of one interval or more.
struct Course {
  double first = 0, last = 0, min = 0, median = 0;
  // By how many percent the last interval is slower than the first; negative where it is faster.
  double sag() const { return first > 0 ? 100 * (1 - last / first) : 0; }
};
// Of the rates `rate` of intervals; none where the rounds have nothing of that.
std::optional<Course> course(std::span<const Interval> intervals, double Interval::* rate);

struct SustainedOptions {
  double seconds = 600;  // ends with the round that passes it
  BenchTest round{.prompt = 512, .gen = 128};
  EngineOptions engine;  // its context follows from the round

  // 30 intervals, or fewer where a round takes longer than that.
  double interval() const { return seconds / 30; }
};

// Told of while it runs; any may be empty.
struct SustainedWatcher {
  std::function<void(const BenchSetting&)> on_start;  // what is measured, before the first round
  std::function<void(const Interval&)> on_interval;
  std::function<void(double seconds)> on_progress;  // after each token, or batch of a prompt
  const std::atomic<bool>* cancel = nullptr;        // ends the run with what is complete
};

// Runs rounds for that long. Cancelled within the first one, it reports no interval. Throws what
// Engine::load and Session::feed throw, and Error(usage) for a round without tokens.
void run_sustained(const std::filesystem::path& model, const SustainedOptions& options,
                   const SustainedWatcher& watcher);

}  // namespace medlar::tune
