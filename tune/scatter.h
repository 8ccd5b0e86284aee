// Labelled points over a linear and a logarithmic axis as a self-contained SVG: how files of different sizes
// compare.
#pragma once

#include <string>
#include <vector>

namespace medlar::tune {

struct ScatterPoint {
  double x = 0;
  double y = 0;  // 0 or less, which a logarithm cannot show, lies on the lower edge
  std::string label;
  std::string detail;        // shown when pointed at
  bool highlighted = false;  // a line joins these, from left to right
};

struct Scatter {
  std::string title, subtitle;
  std::string x_title, y_title;  // with units: "file size, GB"
  std::vector<ScatterPoint> points;
};

// Points are circles of class "point", each with a title that has its label and detail.
std::string svg(const Scatter& plot);
// The same picture in a page.
std::string html(const Scatter& plot);

}  // namespace medlar::tune
