#include "cli/units.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace medlar::cli {
namespace {

// Three significant digits, and no point in a number that has three before it.
std::string three_digits(double value) {
  return fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

template <std::size_t N>
std::string scaled(double value, const std::array<std::string_view, N>& units) {
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < N) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f}{}", value, units[0]);
  return three_digits(value) + std::string(units[unit]);
}

}  // namespace

std::string format_bytes(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes),
                std::array<std::string_view, 5>{" B", " kB", " MB", " GB", " TB"});
}

std::string format_duration(double seconds) {
  constexpr double kLongest = 99 * 3600;
  const auto whole = static_cast<std::int64_t>(std::clamp(std::round(seconds), 0.0, kLongest));
  const std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60);
  return fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string format_parameters(std::int64_t count) {
  return scaled(static_cast<double>(count), std::array<std::string_view, 5>{"", " K", " M", " B", " T"});
}

std::string format_rate(double per_second) {
  return fmt::format("{:.{}f}", per_second, per_second < 99.95 ? 1 : 0);
}

}  // namespace medlar::cli
