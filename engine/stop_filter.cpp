#include "engine/stop_filter.h"

#include <algorithm>
#include <utility>

namespace medlar {
namespace {

// Length of the longest end of `text` that begins `stop` without completing it.
std::size_t overlap(std::string_view text, std::string_view stop) {
  for (std::size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
    if (text.substr(text.size() - n) == stop.substr(0, n)) return n;
  return 0;
}

}  // namespace

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

std::string StopFilter::feed(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  std::size_t first = std::string::npos, keep = 0;
  for (const std::string& stop : stops_) {
    first = std::min(first, held_.find(stop));
    keep = std::max(keep, overlap(held_, stop));
  }
  stopped_ = first != std::string::npos;
  const std::size_t certain = stopped_ ? first : held_.size() - keep;
  std::string out = held_.substr(0, certain);
  held_ = stopped_ ? std::string() : held_.substr(certain);
  return out;
}

std::string StopFilter::finish() { return std::exchange(held_, {}); }

}  // namespace medlar
