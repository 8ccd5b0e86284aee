// Numbers that stand for repeated measurements.
#pragma once

#include <vector>

namespace medlar::tune {

// Of one or more samples. The median is what to quote: one interrupted run does not move it.
struct Summary {
  double median = 0, mean = 0;
  double deviation = 0;  // sample standard deviation; 0 for a single sample
  double min = 0, max = 0;
};
Summary summarize(std::vector<double> samples);

}  // namespace medlar::tune
