#include "cli/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"

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

std::int64_t parse_bytes(std::string_view option, std::string_view text) {
  const std::string owned(text);
  char* end = nullptr;
  const double number = std::strtod(owned.c_str(), &end);
  std::string unit;
  for (; *end != '\0'; ++end)
    if (*end != ' ') unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*end)));
  if (unit.ends_with('b')) unit.pop_back();
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  if (binary) unit.pop_back();
  constexpr std::string_view kUnits = "kmgt";
  const std::size_t at = unit.size() == 1 ? kUnits.find(unit[0]) : kUnits.npos;
  const bool known = unit.empty() ? !binary : at != kUnits.npos;
  const double bytes =
      number * (unit.empty() ? 1 : std::pow(binary ? 1024.0 : 1000.0, static_cast<double>(at + 1)));
  if (!known || !std::isfinite(bytes) || bytes < 1 || bytes > 1e18 || owned.empty() ||
      !std::isdigit(static_cast<unsigned char>(owned[0])))
    throw Error(ErrorKind::usage, fmt::format("{}: \"{}\" is no size", option, printable(text)),
                "write it like 512M, 10G or 8GiB");
  return static_cast<std::int64_t>(bytes);
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
