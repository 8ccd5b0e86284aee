#include "tune/picture.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace medlar::tune {
namespace {

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

}  // namespace

std::string escape_xml(std::string_view text) {
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

std::string draw_text(const PictureText& place, std::string_view content) {
  const std::string style = place.style.empty() ? "" : fmt::format(" class=\"{}\"", place.style);
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", place.x, place.y,
                     place.anchor, style, escape_xml(content));
}

std::string draw_line(std::string_view style, double x1, double y1, double x2, double y2) {
  return fmt::format("<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", style,
                     x1, y1, x2, y2);
}

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

std::string tick_label(double value, double step) {
  const int decimals = step > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6) : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string svg_document(const PictureFrame& frame, std::string_view body) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
             "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n<style>{3}</style>\n"
             "<rect class=\"page\" width=\"{0:.0f}\" height=\"{1:.0f}\"/>\n",
             kPictureWidth, frame.height, escape_xml(frame.title), kStyle) +
         draw_text({kPictureLeft, 30, "start", "title"}, frame.title) +
         draw_text({kPictureLeft, 50, "start", ""}, frame.subtitle) + std::string(body) + "</svg>\n";
}

std::string html_page(std::string_view title, std::string_view svg) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n"
      "<style>\nbody {{ margin: 0; padding: 16px; background: #ffffff; }}\n"
      "svg {{ display: block; margin: auto; max-width: 100%; height: auto; }}\n"
      "@media (prefers-color-scheme: dark) {{ body {{ background: #111827; }} }}\n</style>\n</head>\n<body>\n"
      "{}</body>\n</html>\n",
      escape_xml(title), svg);
}

}  // namespace medlar::tune
