#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace medlar::eval {
namespace {

// Of the means of n samples, which is the samples' own covariance over n.
double covariance_of_means(std::span<const double> a, double mean_a, std::span<const double> b,
                           double mean_b) {
  if (a.size() < 2) return 0;
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - mean_a) * (b[i] - mean_b);
  const auto n = static_cast<double>(a.size());
  return sum / n / (n - 1);
}

double average(std::span<const double> samples) {
  if (samples.empty()) return 0;
  return std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
}

double quantile(std::span<const double> sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Estimate mean(std::span<const double> samples) {
  const double value = average(samples);
  return {value, std::sqrt(covariance_of_means(samples, value, samples, value))};
}

Estimate root_mean_square(std::span<const double> samples) {
  std::vector<double> squares;
  squares.reserve(samples.size());
  for (const double x : samples) squares.push_back(x * x);
  const Estimate square = mean(squares);
  const double root = std::sqrt(square.value);
  return {root, root > 0 ? square.error / (2 * root) : 0};
}

Estimate share(std::int64_t count, std::int64_t of) {
  if (of == 0) return {};
  const double part = static_cast<double>(count) / static_cast<double>(of);
  return {part, of > 1 ? std::sqrt(part * (1 - part) / static_cast<double>(of - 1)) : 0};
}

Proportion wilson(std::int64_t count, std::int64_t of) {
  if (of == 0) return {};
  constexpr double z = 1.959963984540054;  // normal quantile of 0.975
  const auto n = static_cast<double>(of);
  const double part = static_cast<double>(count) / n, scale = 1 + z * z / n;
  const double middle = (part + z * z / (2 * n)) / scale;
  const double half = z / scale * std::sqrt(part * (1 - part) / n + z * z / (4 * n * n));
  return {part, std::max(middle - half, 0.0), std::min(middle + half, 1.0)};
}

Estimate exponential(const Estimate& logarithm) {
  const double value = std::exp(logarithm.value);
  return {value, value * logarithm.error};
}

PairedMeans paired_means(std::span<const double> first, std::span<const double> second) {
  const Estimate a = mean(first), b = mean(second);
  const double covariance = covariance_of_means(first, a.value, second, b.value);
  const double variance = a.error * a.error + b.error * b.error - 2 * covariance;
  const double spread = a.error * b.error;
  return {.difference = {a.value - b.value, std::sqrt(std::max(variance, 0.0))},
          .correlation = spread > 0 ? covariance / spread : 0};
}

Quantiles quantiles(std::vector<double> samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  const auto at = [&](double part) { return quantile(samples, part); };
  return {.least = samples.front(),
          .p001 = at(0.001),
          .p01 = at(0.01),
          .p05 = at(0.05),
          .p10 = at(0.1),
          .median = at(0.5),
          .p90 = at(0.9),
          .p95 = at(0.95),
          .p99 = at(0.99),
          .p999 = at(0.999),
          .most = samples.back()};
}

}  // namespace medlar::eval
