// Progress of a pull: events for whoever draws a bar, and the cancel flag, looked at in the same places.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace medlar::store {

enum class Phase : std::uint8_t {
  resolving,  // asking a source what it has
  waiting,    // another process pulls the same; the numbers are its progress
  checking,   // rereading what an earlier pull left
  downloading,
  extracting,  // from a package
  verifying,
};

std::string_view name(Phase phase);  // "downloading"

struct ProgressEvent {
  Phase phase = Phase::resolving;
  std::string_view what;          // file or source, printable; valid during the call
  std::uint64_t bytes_done = 0;   // of all files of the model
  std::uint64_t bytes_total = 0;  // 0: unknown
  double bytes_per_second = 0;    // over the last seconds; 0: not known yet
  double seconds_left = -1;       // < 0: unknown
};

// Called on the thread that pulls, about ten times a second and once at the end of a phase. Must not throw.
using ProgressFn = std::function<void(const ProgressEvent&)>;

class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;

  ProgressMeter() = default;
  ProgressMeter(ProgressFn report, const std::atomic<bool>* cancel)
      : report_(std::move(report)), cancel_(cancel) {}

  // A new phase begins at `done` bytes, which are not counted in the rate.
  void begin(Phase phase, std::string_view what, std::uint64_t done, std::uint64_t total);
  // Throws Error(cancelled) when the flag is set.
  void update(std::uint64_t done);
  void add(std::uint64_t bytes) { update(done_ + bytes); }
  // Reports the current state, whenever the last report was.
  void flush();

  void check_cancelled() const;
  const std::atomic<bool>* cancel() const { return cancel_; }
  std::uint64_t done() const { return done_; }
  std::uint64_t total() const { return total_; }

 private:
  void measure(Clock::time_point now);

  ProgressFn report_;
  const std::atomic<bool>* cancel_ = nullptr;
  Phase phase_ = Phase::resolving;
  std::string what_;
  std::uint64_t done_ = 0, total_ = 0;
  double rate_ = 0;  // bytes a second, smoothed
  Clock::time_point begun_{}, measured_{}, reported_{};
  std::uint64_t measured_done_ = 0;
};

}  // namespace medlar::store
