// Estimates with their standard errors, and quantiles.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace medlar::eval {

struct Estimate {
  double value = 0;
  double error = 0;  // standard error; 0 for a single sample
};

// The mean of samples, its error from their spread. Of no samples: 0.
Estimate mean(std::span<const double> samples);
// The root of the mean square. The mean square's error is propagated.
Estimate root_mean_square(std::span<const double> samples);
// How many of `of` were so, as a share.
Estimate share(std::int64_t count, std::int64_t of);
// A share with the interval that holds the true one in 95 of 100 cases (Wilson 1927). Of nothing: 0 to 1.
struct Proportion {
  double value = 0, low = 0, high = 1;
};
Proportion wilson(std::int64_t count, std::int64_t of);
// exp of an estimate, its error propagated.
Estimate exponential(const Estimate& logarithm);

// Of two means over the same tokens.
struct PairedMeans {
  Estimate difference;     // first less second; the error knows that they go together
  double correlation = 0;  // of the samples; 0 where one does not vary
};
PairedMeans paired_means(std::span<const double> first, std::span<const double> second);

// The values below which given shares of the samples lie, with linear interpolation between neighbours.
struct Quantiles {
  double least = 0, p001 = 0, p01 = 0, p05 = 0, p10 = 0, median = 0, p90 = 0, p95 = 0, p99 = 0, p999 = 0,
         most = 0;
};
Quantiles quantiles(std::vector<double> samples);

}  // namespace medlar::eval
