// Pieces of a self-contained SVG, readable on light and dark pages, and the page around one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace medlar::tune {

// All lengths are units of the picture; it scales to any size.
inline constexpr double kPictureWidth = 800, kPictureLeft = 64, kPictureRight = 72;
// Classes c0, c1, ... colour strokes, f0, f1, ... areas.
inline constexpr std::size_t kPictureColours = 4;

// Text for XML; control characters, which XML cannot hold, are left out.
std::string escape_xml(std::string_view text);

struct PictureText {
  double x = 0, y = 0;
  std::string_view anchor = "start", style;  // style: "title", "panel", or empty
};
std::string draw_text(const PictureText& place, std::string_view content);
std::string draw_line(std::string_view style, double x1, double y1, double x2, double y2);

// Numbers between which `low` to `high` fits, at most about `count` of them, each 1, 2 or 5 times a power of
// ten.
std::vector<double> axis_ticks(double low, double high, int count);
// With as many decimals as tell ticks that are `step` apart from each other.
std::string tick_label(double value, double step);

struct PictureFrame {
  std::string title, subtitle;
  double height = 0;
};
// A document of its own, which browsers and image viewers show.
std::string svg_document(const PictureFrame& frame, std::string_view body);
// The same picture in a page.
std::string html_page(std::string_view title, std::string_view svg);

}  // namespace medlar::tune
