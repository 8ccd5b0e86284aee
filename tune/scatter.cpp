#include "tune/scatter.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "tune/picture.h"

namespace medlar::tune {
namespace {

constexpr double kTop = 100, kAxesHeight = 360, kFoot = 56;
constexpr double kWidth = kPictureWidth - kPictureLeft - kPictureRight;
constexpr double kBottom = kTop + kAxesHeight;
constexpr double kZeroGap = 30;  // between the lower edge and the lowest decade, where there are points at 0
constexpr int kTicks = 8;
constexpr double kLabelHeight = 14, kLetterWidth = 7;

class Axes {
 public:
  explicit Axes(const Scatter& plot) : plot_(plot) {
    double left = 0, right = 0, low = INFINITY, high = 0;
    for (const ScatterPoint& p : plot.points) {
      right = std::max(right, p.x);
      if (p.y <= 0) zero_ = true;
      if (p.y > 0) low = std::min(low, p.y), high = std::max(high, p.y);
    }
    ticks_ = axis_ticks(left, right, kTicks);
    if (high <= 0) low = high = 1;
    lowest_ = static_cast<int>(std::floor(std::log10(low)));
    highest_ = std::max(lowest_ + 1, static_cast<int>(std::ceil(std::log10(high))));
  }

  std::string draw() const { return horizontal() + vertical() + line() + points(); }

 private:
  double x(double value) const {
    return kPictureLeft + kWidth * (value - ticks_.front()) / (ticks_.back() - ticks_.front());
  }
  double y(double value) const {
    if (value <= 0) return kBottom;
    const double floor = zero_ ? kBottom - kZeroGap : kBottom;
    return floor - (floor - kTop) * (std::log10(value) - lowest_) / (highest_ - lowest_);
  }

  std::string horizontal() const {
    std::string out = draw_line("axis", kPictureLeft, kBottom, kPictureLeft + kWidth, kBottom);
    for (const double tick : ticks_) {
      out += draw_line("axis", x(tick), kBottom, x(tick), kBottom + 4);
      out += draw_text({x(tick), kBottom + 19, "middle", ""}, tick_label(tick, ticks_[1] - ticks_[0]));
    }
    return out + draw_text({kPictureLeft + kWidth / 2, kBottom + 40, "middle", ""}, plot_.x_title);
  }

  std::string vertical() const {
    std::string out = draw_text({kPictureLeft, kTop - 16, "start", "panel"}, plot_.y_title);
    for (int decade = lowest_; decade <= highest_; ++decade) {
      const double at = y(std::pow(10, decade));
      out += draw_line("grid", kPictureLeft, at, kPictureLeft + kWidth, at);
      out += draw_text({kPictureLeft - 8, at + 4, "end", ""}, fmt::format("{:g}", std::pow(10, decade)));
    }
    if (zero_) out += draw_text({kPictureLeft - 8, kBottom + 4, "end", ""}, "0");
    return out;
  }

  std::string line() const {
    std::vector<ScatterPoint> on;
    std::ranges::copy_if(plot_.points, std::back_inserter(on), &ScatterPoint::highlighted);
    if (on.size() < 2) return "";
    std::ranges::sort(on, {}, &ScatterPoint::x);
    std::string path;
    for (const ScatterPoint& p : on)
      path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", x(p.x), y(p.y));
    return fmt::format("<polyline class=\"curve c0\" points=\"{}\"/>\n", path);
  }

  std::string points() const {
    std::string out;
    std::vector<PictureText> taken;
    for (const ScatterPoint& p : plot_.points) {
      const std::string label = escape_xml(p.label);
      out += fmt::format(
          "<circle class=\"point f{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"><title>{}: {}</title></circle>\n",
          p.highlighted ? 0 : 2, x(p.x), y(p.y), label, escape_xml(p.detail));
      out += draw_text(place_label(p, taken), p.label);
    }
    return out;
  }

  // Beside the point, on the side with more room, and above labels that are there already.
  PictureText place_label(const ScatterPoint& p, std::vector<PictureText>& taken) const {
    const double width = kLetterWidth * static_cast<double>(p.label.size());
    const bool fits = x(p.x) + 9 + width < kPictureWidth;
    PictureText place{fits ? x(p.x) + 9 : x(p.x) - 9, y(p.y) - 6, fits ? "start" : "end", "panel"};
    const auto overlaps = [&](const PictureText& other) {
      return std::abs(other.y - place.y) < kLabelHeight && std::abs(other.x - place.x) < width;
    };
    while (place.y > kTop && std::ranges::any_of(taken, overlaps)) place.y -= kLabelHeight;
    taken.push_back(place);
    return place;
  }

  const Scatter& plot_;
  bool zero_ = false;
  std::vector<double> ticks_;
  int lowest_ = 0, highest_ = 1;  // powers of ten
};

}  // namespace

std::string svg(const Scatter& plot) {
  return svg_document({plot.title, plot.subtitle, kBottom + kFoot}, Axes(plot).draw());
}

std::string html(const Scatter& plot) { return html_page(plot.title, svg(plot)); }

}  // namespace medlar::tune
