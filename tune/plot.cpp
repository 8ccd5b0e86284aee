#include "tune/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

#include "tune/picture.h"

namespace medlar::tune {
namespace {

constexpr double kWidth = kPictureWidth, kLeft = kPictureLeft, kRight = kPictureRight, kHead = 70, kFoot = 48;
constexpr double kPanelHeight = 150, kPanelGap = 50;
constexpr int kValueTicks = 5, kTimeTicks = 8;

// "38.1", "412": a value beside its point.
std::string shown(double value) { return fmt::format("{:.{}f}", value, value < 99.95 ? 1 : 0); }

// Seconds between ticks, so that clocks' numbers come out.
double time_step(double seconds) {
  constexpr std::array<double, 18> kSteps = {0.1, 0.2, 0.5, 1,   2,   5,    10,   15,   30,
                                             60,  120, 300, 600, 900, 1800, 3600, 7200, 14400};
  const auto fits = [&](double step) { return seconds / step <= kTimeTicks; };
  const auto found = std::ranges::find_if(kSteps, fits);
  return found == kSteps.end() ? seconds / kTimeTicks : *found;
}

// "4.5" below two minutes, then "12:30", "1:02:00".
std::string time_label(double seconds, double step, double end) {
  if (end < 120) return tick_label(seconds, step);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (end < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string time_unit(double end) {
  if (end < 120) return "seconds";
  return end < 3600 ? "minutes:seconds" : "hours:minutes:seconds";
}

// One panel with its top edge at `top`.
class Panel {
 public:
  Panel(const PlotPanel& panel, double seconds, double top, std::size_t colour)
      : panel_(panel), seconds_(seconds), top_(top), colour_(colour % kPictureColours) {
    double low = 0, high = 0;
    if (!panel.points.empty()) {
      const auto [least, most] = std::ranges::minmax(panel.points, {}, &PlotPoint::value);
      low = panel.from_zero ? std::min(0.0, least.value) : least.value;
      high = most.value;
    }
    ticks_ = axis_ticks(low, high, kValueTicks);
  }

  std::string draw(bool last) const {
    std::string out = draw_text({kLeft, top_ - 12, "start", "panel"}, panel_.title + ", " + panel_.unit);
    for (const double tick : ticks_) {
      out += draw_line("grid", kLeft, y(tick), kWidth - kRight, y(tick));
      out += draw_text({kLeft - 8, y(tick) + 4, "end", ""}, tick_label(tick, ticks_[1] - ticks_[0]));
    }
    return out + time_axis(last) + curve();
  }

 private:
  double x(double seconds) const { return kLeft + (kWidth - kLeft - kRight) * seconds / seconds_; }
  double y(double value) const {
    const double low = ticks_.front(), high = ticks_.back();
    return top_ + kPanelHeight * (1 - (value - low) / (high - low));
  }

  // Numbers stand below the last panel only.
  std::string time_axis(bool last) const {
    const double bottom = top_ + kPanelHeight, step = time_step(seconds_);
    std::string out = draw_line("axis", kLeft, bottom, kWidth - kRight, bottom);
    for (int i = 0; i * step <= seconds_ * (1 + 1e-9); ++i) {
      out += draw_line("axis", x(i * step), bottom, x(i * step), bottom + 4);
      if (last)
        out += draw_text({x(i * step), bottom + 19, "middle", ""}, time_label(i * step, step, seconds_));
    }
    if (last)
      out += draw_text({(kLeft + kWidth - kRight) / 2, bottom + 38, "middle", ""},
                       "time, " + time_unit(seconds_));
    return out;
  }

  std::string curve() const {
    if (panel_.points.empty()) return "";
    std::string path, circles;
    for (const PlotPoint& p : panel_.points) {
      path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x(p.seconds), y(p.value));
      circles += fmt::format(
          "<circle class=\"point f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}: {} "
          "{}</title></circle>\n",
          colour_, x(p.seconds), y(p.value), time_label(p.seconds, 0.1, seconds_), shown(p.value),
          escape_xml(panel_.unit));
    }
    const PlotPoint &first = panel_.points.front(), &last = panel_.points.back();
    const double bottom = top_ + kPanelHeight;
    return fmt::format("<polygon class=\"area f{}\" points=\"{:.1f},{:.1f} {} {:.1f},{:.1f}\"/>\n", colour_,
                       x(first.seconds), bottom, path, x(last.seconds), bottom) +
           fmt::format("<polyline class=\"curve c{}\" points=\"{}\"/>\n", colour_, path) + circles +
           draw_text({x(last.seconds) + 8, y(last.value) + 4, "start", "panel"}, shown(last.value));
  }

  const PlotPanel& panel_;
  double seconds_, top_;
  std::size_t colour_;
  std::vector<double> ticks_;
};

}  // namespace

std::string svg(const Plot& plot) {
  const auto panels = static_cast<double>(plot.panels.size());
  const double height = kHead + panels * (kPanelHeight + kPanelGap) + kFoot - 20;
  const double seconds = plot.seconds > 0 ? plot.seconds : 1;
  std::string body;
  double top = kHead + 30;
  for (std::size_t i = 0; i < plot.panels.size(); ++i, top += kPanelHeight + kPanelGap)
    body += Panel(plot.panels[i], seconds, top, i).draw(i + 1 == plot.panels.size());
  return svg_document({plot.title, plot.subtitle, height}, body);
}

std::string html(const Plot& plot) { return html_page(plot.title, svg(plot)); }

}  // namespace medlar::tune
