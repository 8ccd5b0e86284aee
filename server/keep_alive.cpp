#include "server/keep_alive.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

#include "server/api_error.h"

namespace medlar::server {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 7> kUnits{
    {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}, {"", 1}}};
constexpr double kLongest = 100.0 * 365 * 24 * 3600;  // more is for ever

KeepAlive from_seconds(double seconds) {
  if (seconds < 0 || seconds > kLongest) return std::nullopt;
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

// A number and its unit off the front of `text`, in seconds.
std::optional<double> take_part(std::string_view& text) {
  // Apple's library has no from_chars for floating point in older versions.
  const std::string digits(text.substr(0, text.find_first_not_of("0123456789.")));
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  if (end == digits.c_str() || !std::isfinite(number)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - digits.c_str()));
  const std::size_t size = std::min(text.find_first_of("0123456789.-"), text.size());
  for (const auto& [unit, seconds] : kUnits) {
    if (text.substr(0, size) != unit) continue;
    text.remove_prefix(size);
    return number * seconds;
  }
  return std::nullopt;
}

}  // namespace

std::optional<KeepAlive> parse_keep_alive(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  double seconds = 0;
  do {
    if (text.empty() || text.front() == '-') return std::nullopt;
    const std::optional<double> part = take_part(text);
    if (!part) return std::nullopt;
    seconds += *part;
  } while (!text.empty());
  return from_seconds(negative ? -std::max(seconds, 1.0) : seconds);
}

void apply_keep_alive(const Call& call, const boost::json::value& value) {
  if (value.is_null()) return;
  std::optional<KeepAlive> time;
  if (value.is_number()) time = from_seconds(value.to_number<double>());
  if (value.is_string()) time = parse_keep_alive(value.get_string());
  if (!time)
    fail_at({.name = "keep_alive"},
            "must be a number of seconds, or a time such as \"5m\"; below zero: for ever");
  call.lease->keep(*time);
}

}  // namespace medlar::server
