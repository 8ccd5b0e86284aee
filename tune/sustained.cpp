#include "tune/sustained.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "tune/workload.h"

namespace medlar::tune {
namespace {

double per_second(std::int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// Rounds on a model.
class Player {
 public:
  Player(const std::filesystem::path& path, const SustainedOptions& options, const SustainedWatcher& watcher)
      : test_(options.round), watcher_(watcher), workload_(path, sized(options)), batch_(engine().batch()) {}

  const Engine& engine() const { return workload_.engine(); }

  // Brings the weights into memory; not counted.
  void warm_up() {
    workload_.reset();
    workload_.feed(std::min<std::int64_t>(batch_, test_.depth + test_.tokens()));
  }

  void start_clock() { clock_ = Stopwatch(); }
  double now() const { return clock_.seconds(); }

  // None when cancelled.
  std::optional<Round> play() {
    workload_.reset();
    if (!feed_batches(0, test_.depth)) return std::nullopt;
    const double start = now();
    if (!feed_batches(test_.depth, test_.depth + test_.prompt)) return std::nullopt;
    const double middle = now();
    for (std::int64_t i = 1; i <= test_.gen; ++i) {
      if (!feed(test_.depth + test_.prompt + i)) return std::nullopt;
    }
    return Round{.prompt_seconds = middle - start, .answer_seconds = now() - middle};
  }

 private:
  static EngineOptions sized(const SustainedOptions& options) {
    EngineOptions engine = options.engine;
    engine.context = std::max<std::int64_t>(options.round.depth + options.round.tokens(), engine.batch);
    return engine;
  }

  bool feed_batches(std::int64_t from, std::int64_t to) {
    while (from < to) {
      from = std::min(from + batch_, to);
      if (!feed(from)) return false;
    }
    return true;
  }

  bool feed(std::int64_t count) {
    if (watcher_.cancel && *watcher_.cancel) return false;
    workload_.feed(count);
    if (watcher_.on_progress) watcher_.on_progress(now());
    return true;
  }

  BenchTest test_;
  const SustainedWatcher& watcher_;
  Workload workload_;
  std::int64_t batch_;
  Stopwatch clock_;
};

}  // namespace

std::optional<Interval> IntervalCutter::add(const Round& round, double now) {
  sum_.prompt_seconds += round.prompt_seconds;
  sum_.answer_seconds += round.answer_seconds;
  ++rounds_;
  end_ = now;
  if (end_ - start_ < length_) return std::nullopt;
  return cut();
}

std::optional<Interval> IntervalCutter::finish() {
  if (rounds_ == 0 || (cut_ > 0 && end_ - start_ < length_ / 2)) return std::nullopt;
  return cut();
}

Interval IntervalCutter::cut() {
  const Interval interval{.start = start_,
                          .end = end_,
                          .rounds = rounds_,
                          .prompt_rate = per_second(rounds_ * test_.prompt, sum_.prompt_seconds),
                          .answer_rate = per_second(rounds_ * test_.gen, sum_.answer_seconds)};
  start_ = end_;
  sum_ = {};
  rounds_ = 0;
  ++cut_;
  return interval;
}

std::optional<Course> course(std::span<const Interval> intervals, double Interval::* rate) {
  std::vector<double> rates;
  for (const Interval& i : intervals) rates.push_back(i.*rate);
  if (rates.empty() || rates.front() == 0) return std::nullopt;
  const Summary s = summarize(rates);
  return Course{.first = rates.front(), .last = rates.back(), .min = s.min, .median = s.median};
}

void run_sustained(const std::filesystem::path& model, const SustainedOptions& options,
                   const SustainedWatcher& watcher) {
  if (options.round.tokens() == 0)
    throw Error(ErrorKind::usage, "there is nothing to measure", "give -p or -n a number above 0");
  Player player(model, options, watcher);
  if (watcher.on_start) watcher.on_start(setting_of(player.engine(), options.round));
  player.warm_up();
  IntervalCutter cutter(options.round, options.interval());
  const auto report = [&](std::optional<Interval> interval) {
    if (!interval) return;
    interval->sensors = read_sensors();
    if (watcher.on_interval) watcher.on_interval(*interval);
  };
  player.start_clock();
  while (player.now() < options.seconds) {
    const std::optional<Round> round = player.play();
    if (!round) break;
    report(cutter.add(*round, player.now()));
  }
  report(cutter.finish());
}

}  // namespace medlar::tune
