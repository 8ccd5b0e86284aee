// Where the time of a program's steps goes: summed by kind of call, and as a trace of single calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backend.h"

namespace medlar::tune {

// Calls that differ in their layer only.
struct ProfileRow {
  std::string what;  // "linear avx512: attn_q,attn_k,attn_v"; " on cpu" follows where devices differ
  std::int64_t calls = 0;
  double seconds = 0;
  double weight_bytes = 0;  // read by all these calls

  double bytes_per_second() const { return seconds > 0 ? weight_bytes / seconds : 0; }
};

class Profile {
 public:
  explicit Profile(std::vector<runtime::CallInfo> calls);

  // A step that has just ended; the arguments of a runtime::StepObserver.
  void add(const kernels::Step& step, std::span<const std::chrono::nanoseconds> ends);
  // Forgets what was traced, not what was summed: the trace shows the last run.
  void start_trace() { trace_.clear(); }

  std::vector<ProfileRow> rows() const;  // most time first
  std::int64_t steps() const { return steps_; }
  double seconds() const;
  // The rows as a table in Markdown.
  std::string table() const;
  // The calls since start_trace() as events of the Trace Event Format ("Chrome trace"), with commas between.
  // `process` tells traces in one file apart.
  std::string events(int process, std::string_view name) const;

 private:
  struct TracedStep {
    std::chrono::nanoseconds start;  // on the steady clock
    int tokens;
    std::vector<std::chrono::nanoseconds> ends;
  };

  std::vector<runtime::CallInfo> calls_;
  std::vector<std::chrono::nanoseconds> total_;  // of each call
  std::vector<TracedStep> trace_;
  std::int64_t steps_ = 0;
};

// A file that chrome://tracing and Perfetto open, of several profiles' events.
std::string chrome_trace(std::span<const std::string> events);

}  // namespace medlar::tune
