#include "cli/progress_bar.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "cli/units.h"

namespace medlar::cli {
namespace {

constexpr int kWidestBar = 30;
constexpr int kNarrowestBar = 8;

std::string join(const std::vector<std::string>& parts) {
  std::string line;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    if (!line.empty()) line += "  ";
    line += part;
  }
  return line;
}

std::string bar(double share, int width) {
  const int filled = static_cast<int>(share * (width - 2));
  return fmt::format("[{:<{}}]", std::string(static_cast<std::size_t>(filled), '#'), width - 2);
}

}  // namespace

std::string render_progress(const Progress& p, int columns) {
  const double share =
      p.total == 0 ? 0 : std::min(1.0, static_cast<double>(p.done) / static_cast<double>(p.total));
  const std::string percent = p.total > 0 ? fmt::format("{:3.0f}%", std::floor(share * 100)) : "";
  std::string size = !p.bytes      ? ""
                     : p.total > 0 ? fmt::format("{} of {}", format_bytes(p.done), format_bytes(p.total))
                     : p.done > 0  ? format_bytes(p.done)
                                   : "";
  std::string rate = p.per_second > 0 ? format_bytes(static_cast<std::uint64_t>(p.per_second)) + "/s" : "";
  const std::string left = p.seconds_left >= 0 ? format_duration(p.seconds_left) + " left" : "";
  const auto line = [&](const std::string& drawn) {
    return join({p.what, percent, drawn, size, rate, left});
  };
  for (std::string* optional : {&size, &rate}) {
    if (display_width(line("")) > columns) optional->clear();
  }
  const int room = std::min(kWidestBar, columns - display_width(line("")) - 2);
  return fit(line(p.total > 0 && room >= kNarrowestBar ? bar(share, room) : ""), columns);
}

void ProgressBar::show(const Progress& progress) {
  if (!terminal_.interactive) return;
  // Writing in the last column makes some terminals wrap, and Ctrl-C shows "^C" behind the line.
  fmt::print(file_, "\r{}\x1b[K", render_progress(progress, terminal_.columns - 3));
  std::fflush(file_);
  drawn_ = true;
}

void ProgressBar::clear() {
  if (!drawn_) return;
  fmt::print(file_, "\r\x1b[K");
  std::fflush(file_);
  drawn_ = false;
}

}  // namespace medlar::cli
