// Curves over time as a self-contained SVG: panels one above the other, with axes and units, readable on
// light and dark pages.
#pragma once

#include <string>
#include <vector>

namespace medlar::tune {

struct PlotPoint {
  double seconds = 0, value = 0;
};

struct PlotPanel {
  std::string title, unit;  // "Writing an answer", "tokens/s"
  std::vector<PlotPoint> points;
  bool from_zero = true;  // else the axis begins near the smallest value
};

struct Plot {
  std::string title, subtitle;
  double seconds = 0;  // where the time axis ends
  std::vector<PlotPanel> panels;
};

// A document of its own, which browsers and image viewers show. Points are circles of class "point", each
// with a title that tells its time and value.
std::string svg(const Plot& plot);
// The same picture in a page.
std::string html(const Plot& plot);

}  // namespace medlar::tune
