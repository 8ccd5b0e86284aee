#include "tune/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

namespace medlar::tune {
namespace {

// All lengths are units of the picture; it scales to any size.
constexpr double kWidth = 800, kLeft = 64, kRight = 72, kHead = 70, kFoot = 48;
constexpr double kPanelHeight = 150, kPanelGap = 50;
constexpr int kValueTicks = 5, kTimeTicks = 8;

constexpr std::string_view kStyle = R"(
  text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; font-size: 12px; fill: #4b5563; }
  .title { font-size: 18px; font-weight: 600; fill: #111827; }
  .panel { font-size: 13px; font-weight: 600; fill: #111827; }
  .page { fill: #ffffff; }
  .grid { stroke: #e5e7eb; stroke-width: 1; }
  .axis { stroke: #9ca3af; stroke-width: 1; }
  .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
  .area { stroke: none; opacity: 0.1; }
  .c0 { stroke: #2563eb; } .f0 { fill: #2563eb; }
  .c1 { stroke: #0d9488; } .f1 { fill: #0d9488; }
  .c2 { stroke: #dc2626; } .f2 { fill: #dc2626; }
  .c3 { stroke: #9333ea; } .f3 { fill: #9333ea; }
  @media (prefers-color-scheme: dark) {
    text { fill: #9ca3af; }
    .title, .panel { fill: #f3f4f6; }
    .page { fill: #111827; }
    .grid { stroke: #1f2937; }
    .axis { stroke: #4b5563; }
    .c0 { stroke: #60a5fa; } .f0 { fill: #60a5fa; }
    .c1 { stroke: #2dd4bf; } .f1 { fill: #2dd4bf; }
    .c2 { stroke: #f87171; } .f2 { fill: #f87171; }
    .c3 { stroke: #c084fc; } .f3 { fill: #c084fc; }
  }
)";
constexpr std::size_t kColours = 4;

// Text for XML; control characters, which XML cannot hold, are left out.
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) out += c;
    }
  }
  return out;
}

// As many decimals as tell neighbouring ticks apart.
std::string number(double value, double step) {
  const int decimals = step > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6) : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

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
  if (end < 120) return number(seconds, step);
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (end < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string time_unit(double end) {
  if (end < 120) return "seconds";
  return end < 3600 ? "minutes:seconds" : "hours:minutes:seconds";
}

struct Text {
  double x = 0, y = 0;
  std::string_view anchor = "start", style;
};

std::string text(const Text& t, std::string_view content) {
  const std::string style = t.style.empty() ? "" : fmt::format(" class=\"{}\"", t.style);
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", t.x, t.y, t.anchor,
                     style, escape(content));
}

std::string line(std::string_view style, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", style,
                     x1, y1, x2, y2);
}

// One panel with its top edge at `top`.
class Panel {
 public:
  Panel(const PlotPanel& panel, double seconds, double top, std::size_t colour)
      : panel_(panel), seconds_(seconds), top_(top), colour_(colour % kColours) {
    double low = 0, high = 0;
    if (!panel.points.empty()) {
      const auto [least, most] = std::ranges::minmax(panel.points, {}, &PlotPoint::value);
      low = panel.from_zero ? std::min(0.0, least.value) : least.value;
      high = most.value;
    }
    ticks_ = axis_ticks(low, high, kValueTicks);
  }

  std::string draw(bool last) const {
    std::string out = text({kLeft, top_ - 12, "start", "panel"}, panel_.title + ", " + panel_.unit);
    for (const double tick : ticks_) {
      out += line("grid", kLeft, y(tick), kWidth - kRight, y(tick));
      out += text({kLeft - 8, y(tick) + 4, "end", ""}, number(tick, ticks_[1] - ticks_[0]));
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
    std::string out = line("axis", kLeft, bottom, kWidth - kRight, bottom);
    for (int i = 0; i * step <= seconds_ * (1 + 1e-9); ++i) {
      out += line("axis", x(i * step), bottom, x(i * step), bottom + 4);
      if (last) out += text({x(i * step), bottom + 19, "middle", ""}, time_label(i * step, step, seconds_));
    }
    if (last)
      out += text({(kLeft + kWidth - kRight) / 2, bottom + 38, "middle", ""}, "time, " + time_unit(seconds_));
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
          escape(panel_.unit));
    }
    const PlotPoint &first = panel_.points.front(), &last = panel_.points.back();
    const double bottom = top_ + kPanelHeight;
    return fmt::format("<polygon class=\"area f{}\" points=\"{:.1f},{:.1f} {} {:.1f},{:.1f}\"/>\n", colour_,
                       x(first.seconds), bottom, path, x(last.seconds), bottom) +
           fmt::format("<polyline class=\"curve c{}\" points=\"{}\"/>\n", colour_, path) + circles +
           text({x(last.seconds) + 8, y(last.value) + 4, "start", "panel"}, shown(last.value));
  }

  const PlotPanel& panel_;
  double seconds_, top_;
  std::size_t colour_;
  std::vector<double> ticks_;
};

}  // namespace

std::vector<double> axis_ticks(double low, double high, int count) {
  if (!(high > low)) high = low + 1;
  const double least = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(least)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9);
  for (int i = 0;; ++i) {
    ticks.push_back((first + i) * step);
    if (ticks.back() >= high - step * 1e-9) return ticks;
  }
}

std::string svg(const Plot& plot) {
  const auto panels = static_cast<double>(plot.panels.size());
  const double height = kHead + panels * (kPanelHeight + kPanelGap) + kFoot - 20;
  const double seconds = plot.seconds > 0 ? plot.seconds : 1;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n<style>{3}</style>\n"
      "<rect class=\"page\" width=\"{0:.0f}\" height=\"{1:.0f}\"/>\n",
      kWidth, height, escape(plot.title), kStyle);
  out += text({kLeft, 30, "start", "title"}, plot.title);
  out += text({kLeft, 50, "start", ""}, plot.subtitle);
  double top = kHead + 30;
  for (std::size_t i = 0; i < plot.panels.size(); ++i, top += kPanelHeight + kPanelGap)
    out += Panel(plot.panels[i], seconds, top, i).draw(i + 1 == plot.panels.size());
  return out + "</svg>\n";
}

std::string html(const Plot& plot) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n"
      "<style>\nbody {{ margin: 0; padding: 16px; background: #ffffff; }}\n"
      "svg {{ display: block; margin: auto; max-width: 100%; height: auto; }}\n"
      "@media (prefers-color-scheme: dark) {{ body {{ background: #111827; }} }}\n</style>\n</head>\n<body>\n"
      "{}</body>\n</html>\n",
      escape(plot.title), svg(plot));
}

}  // namespace medlar::tune
