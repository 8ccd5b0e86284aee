#include "tune/profile.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/assert.h"

namespace medlar::tune {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

double seconds_of(nanoseconds t) { return std::chrono::duration<double>(t).count(); }

// "blk.7.attn_q.weight,blk.7.attn_k.weight" -> "attn_q,attn_k"
std::string role(const std::string& weights) {
  static const std::regex kPlace(R"(blk\.[0-9]+\.|\.weight)");
  return std::regex_replace(weights, kPlace, "");
}

std::string kind_of(const runtime::CallInfo& call) {
  std::string kind(call.kernel);
  if (!call.weights.empty()) kind += ": " + role(call.weights);
  if (!call.device.empty()) kind += " on " + call.device;
  return kind;
}

}  // namespace

Profile::Profile(std::vector<runtime::CallInfo> calls) : calls_(std::move(calls)), total_(calls_.size()) {}

void Profile::add(const kernels::Step& step, std::span<const nanoseconds> ends) {
  MEDLAR_ASSERT(ends.size() == calls_.size());
  nanoseconds before{0};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    total_[i] += ends[i] - before;
    before = ends[i];
  }
  trace_.push_back({Clock::now().time_since_epoch() - before, step.tokens, {ends.begin(), ends.end()}});
  ++steps_;
}

double Profile::seconds() const {
  nanoseconds sum{0};
  for (const nanoseconds t : total_) sum += t;
  return seconds_of(sum);
}

std::vector<ProfileRow> Profile::rows() const {
  std::map<std::string, ProfileRow> kinds;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    ProfileRow& row = kinds[kind_of(calls_[i])];
    row.calls += steps_;
    row.seconds += seconds_of(total_[i]);
    row.weight_bytes += static_cast<double>(calls_[i].weight_bytes * steps_);
  }
  std::vector<ProfileRow> rows;
  for (auto& [what, row] : kinds) {
    row.what = what;
    rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows, std::greater{}, &ProfileRow::seconds);
  return rows;
}

std::string Profile::table() const {
  std::string text = "| share | ms a step | calls a step | GB/s of weights | call |\n|--:|--:|--:|--:|---|\n";
  const double all = seconds(), steps = static_cast<double>(std::max<std::int64_t>(steps_, 1));
  for (const ProfileRow& row : rows()) {
    if (row.seconds == 0) continue;  // a kernel that these steps did not need
    const std::string rate = row.weight_bytes > 0 ? fmt::format("{:.1f}", row.bytes_per_second() / 1e9) : "";
    text += fmt::format("| {:.1f} % | {:.3f} | {:g} | {} | {} |\n", all > 0 ? 100 * row.seconds / all : 0,
                        1e3 * row.seconds / steps, static_cast<double>(row.calls) / steps, rate, row.what);
  }
  return text;
}

std::string Profile::events(int process, std::string_view name) const {
  const auto microseconds = [](nanoseconds t) { return static_cast<double>(t.count()) / 1e3; };
  std::vector<std::string> events;
  const auto add = [&](boost::json::object event) {
    event["pid"] = process;
    event["tid"] = 0;
    events.push_back(boost::json::serialize(event));
  };
  add({{"name", "process_name"}, {"ph", "M"}, {"args", {{"name", name}}}});
  for (const TracedStep& step : trace_) {
    nanoseconds begin{0};
    for (std::size_t i = 0; i < step.ends.size(); ++i) {
      add({{"name", kind_of(calls_[i])},
           {"ph", "X"},
           {"ts", microseconds(step.start - trace_.front().start + begin)},
           {"dur", microseconds(step.ends[i] - begin)},
           {"args", {{"tokens", step.tokens}, {"weights", calls_[i].weights}}}});
      begin = step.ends[i];
    }
  }
  return fmt::format("{}", fmt::join(events, ",\n"));
}

std::string chrome_trace(std::span<const std::string> events) {
  return fmt::format("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n", fmt::join(events, ",\n"));
}

}  // namespace medlar::tune
