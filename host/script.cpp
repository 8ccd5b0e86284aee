#include "host/script.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "base/posix.h"
#include "base/system_text.h"

namespace medlar::host {
namespace {

constexpr Duration kRepeat = std::chrono::milliseconds(250);
constexpr double kLongest = 1e6;  // seconds

using Words = std::vector<std::string_view>;

// One line of a script.
class Line {
 public:
  Line(std::string_view text, std::string place)
      : words_(sysfs::split_blanks(text)), place_(std::move(place)) {}

  bool empty() const { return words_.empty(); }
  bool more() const { return next_ < words_.size(); }
  std::string_view word() {
    if (!more()) refuse("ends too early");
    return words_[next_++];
  }
  bool take(std::string_view word) {
    if (!more() || words_[next_] != word) return false;
    ++next_;
    return true;
  }
  double number(double low, double high) {
    const std::string_view text = word();
    // Apple's library has no from_chars for floating point in older versions.
    char* end = nullptr;
    const std::string copy(text);
    const double value = std::strtod(copy.c_str(), &end);
    if (end != copy.c_str() + copy.size() || !(value >= low && value <= high))
      refuse(fmt::format("\"{}\" is no number from {} to {}", printable(text), low, high));
    return value;
  }
  [[noreturn]] void refuse(std::string_view why) const {
    throw Error(
        ErrorKind::bad_file, fmt::format("{}: {}", place_, why),
        "a line is like \"0.5 memory warning for 3\", \"2 heat serious 92\" or \"4 power battery 0.4\"");
  }

 private:
  Words words_;
  std::size_t next_ = 0;
  std::string place_;
};

Duration seconds(double value) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

template <class Level, std::size_t n>
Level level(Line& line, const Level (&levels)[n]) {
  const std::string_view word = line.word();
  for (const Level known : levels) {
    if (name(known) == word) return known;
  }
  line.refuse(fmt::format("\"{}\" is no level", printable(word)));
}

void add_memory(Line& line, Duration at, Script& script) {
  constexpr MemoryPressure kLevels[] = {MemoryPressure::normal, MemoryPressure::warning,
                                        MemoryPressure::critical};
  const MemorySignal signal{.pressure = level(line, kLevels)};
  const Duration end = at + (line.take("for") ? seconds(line.number(0, 3600)) : Duration{});
  for (Duration time = at; time <= end; time += kRepeat) script.push_back({time, signal});
}

void add_heat(Line& line, Duration at, Script& script) {
  constexpr ThermalState kLevels[] = {ThermalState::nominal, ThermalState::fair, ThermalState::serious,
                                      ThermalState::critical};
  ThermalSignal signal{.state = level(line, kLevels)};
  if (line.more()) signal.celsius = line.number(-50, 150);
  if (line.more()) signal.limit = line.number(-50, 150);
  script.push_back({at, signal});
}

void add_power(Line& line, Duration at, Script& script) {
  PowerSignal signal;
  signal.mains = !line.take("battery");
  if (signal.mains && !line.take("mains")) line.refuse("power is \"mains\" or \"battery\"");
  signal.low_power = line.take("low");
  if (line.more()) signal.charge = line.number(0, 1);
  script.push_back({at, signal});
}

void add_line(Line& line, Script& script) {
  const Duration at = seconds(line.number(0, kLongest));
  if (line.take("memory")) {
    add_memory(line, at, script);
  } else if (line.take("heat")) {
    add_heat(line, at, script);
  } else if (line.take("power")) {
    add_power(line, at, script);
  } else {
    line.refuse("a signal is of \"memory\", \"heat\" or \"power\"");
  }
  if (line.more()) line.refuse(fmt::format("\"{}\" is one word too many", printable(line.word())));
}

// Those of one moment in the order of their lines.
Script by_time(const Script& script) {
  Script sorted;
  for (const ScriptedSignal& signal : script)
    sorted.insert(std::ranges::upper_bound(sorted, signal.at, {}, &ScriptedSignal::at), signal);
  return sorted;
}

class Scripted : public Source {
 public:
  Scripted(Script script, Time start) : script_(std::move(script)), start_(start) {}

  std::string_view name() const override { return "script"; }
  std::optional<Time> due() const override {
    if (next_ == script_.size()) return std::nullopt;
    return start_ + script_[next_].at;
  }
  std::vector<Signal> read(Time now, short) override {
    std::vector<Signal> signals;
    for (; next_ < script_.size() && start_ + script_[next_].at <= now; ++next_)
      signals.push_back(script_[next_].signal);
    return signals;
  }

 private:
  Script script_;
  Time start_;
  std::size_t next_ = 0;
};

}  // namespace

Script parse_script(std::string_view text, std::string_view source) {
  Script script;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view whole = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    Line line(whole.substr(0, whole.find('#')), fmt::format("{}: line {}", printable(source), number));
    if (!line.empty()) add_line(line, script);
  }
  return by_time(script);
}

Script read_script(const std::filesystem::path& path) {
  const std::optional<std::string> text = sysfs::read_text(path);
  if (!text) fail_errno(path, "read", errno);
  return parse_script(*text, path.string());
}

std::unique_ptr<Source> make_scripted(const Script& script, Time start) {
  return std::make_unique<Scripted>(by_time(script), start);
}

}  // namespace medlar::host
