#include "tune/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/assert.h"

namespace medlar::tune {

Summary summarize(std::vector<double> samples) {
  MEDLAR_ASSERT(!samples.empty());
  std::ranges::sort(samples);
  const std::size_t n = samples.size();
  const auto count = static_cast<double>(n);
  Summary s{.median = (samples[(n - 1) / 2] + samples[n / 2]) / 2,
            .mean = std::accumulate(samples.begin(), samples.end(), 0.0) / count,
            .min = samples.front(),
            .max = samples.back()};
  double squares = 0;
  for (const double v : samples) squares += (v - s.mean) * (v - s.mean);
  if (n > 1) s.deviation = std::sqrt(squares / (count - 1));
  return s;
}

}  // namespace medlar::tune
